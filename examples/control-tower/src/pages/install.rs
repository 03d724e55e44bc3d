//! The page from which an agent is installed.

use keyward_callhome_cert::Granularity;
use maud::{Markup, html};
use time::OffsetDateTime;

use super::{
    component::{self, Field, Select, Tone, form, notice, prose, section, when},
    form::Wrong,
    layout::{HostPage, Page, Viewer},
    problem::{Problem, sentence},
};

/// What is in the form.
#[derive(Clone)]
pub struct Draft {
    /// The site.
    pub site: String,
    /// The host-id.
    pub host_id: String,
    /// How long the certificate lives.
    pub ttl: String,
    /// How many hosts may use it.
    pub max_uses: String,
}

impl Draft {
    /// What has to be there and is not.
    pub fn missing(&self, of: Granularity) -> Option<Wrong> {
        let (field, message) = match of {
            Granularity::Site if self.site.is_empty() => ("site", "say for which site it is"),
            Granularity::HostId if self.host_id.is_empty() => ("host-id", "say for which host it is"),
            _ => return None,
        };
        Some(Wrong { field: field.to_owned(), message: message.to_owned() })
    }
}

impl Default for Draft {
    fn default() -> Self {
        Self { site: String::new(), host_id: String::new(), ttl: "1d".to_owned(), max_uses: String::new() }
    }
}

/// The page, before anything is issued.
#[derive(Clone)]
pub struct Install {
    /// What did not work as a whole.
    pub problem: Option<Problem>,
    /// What of the form was not accepted.
    pub wrong: Option<Wrong>,
    /// What the settings ask for; `None` where hosts cannot call home here, which is the problem then.
    pub granularity: Option<Granularity>,
    /// Where hosts call home.
    pub url: String,
    /// The names of the sites; `None` where the reader may not see them.
    pub sites: Option<Vec<String>>,
    /// What is in the form.
    pub draft: Draft,
}

/// A script that was made, shown this once.
#[derive(Clone)]
pub struct Script {
    /// Where hosts call home.
    pub url: String,
    /// Its text.
    pub text: String,
    /// Its text, as a form brings it back.
    pub encoded: String,
    /// Its SHA-256.
    pub digest: String,
    /// What it is called.
    pub file: String,
    /// The certificate in it.
    pub certificate: Option<Certificate>,
}

/// A certificate in a script.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// Its serial number.
    pub serial: String,
    /// For whom it is.
    pub scope: String,
    /// Until when it is good.
    pub expires: OffsetDateTime,
    /// How many hosts may use it.
    pub max_uses: Option<u64>,
}

/// What is wrong with a field that was not accepted, in the words of the form.
fn words(field: &str) -> Option<&'static str> {
    match field {
        "ttl" => Some("Write a time from a minute to 30 days, such as `12h`, `1d` or `1d12h`."),
        "max-uses" => Some("Write a whole number from 1 to 1000, or leave it empty."),
        _ => None,
    }
}

/// A granularity in words: what certificates are for, and what that comes to.
pub fn granularity(of: Granularity) -> (&'static str, &'static str) {
    match of {
        Granularity::Never => ("no certificate", "The host-id alone lets a host call home."),
        Granularity::CertificateOnly => {
            ("a certificate, the same for any host", "One certificate serves as many hosts as you like.")
        }
        Granularity::Site => ("a certificate for each site", "One certificate serves the hosts of its site."),
        Granularity::HostId => ("a certificate for each host", "Each host has one that is good for it alone, once."),
    }
}

impl Install {
    /// As a page.
    pub fn page(&self, viewer: &Viewer) -> Page {
        let main = html! {
            header class="stack" {
                div {
                    h1 { "Install agent" }
                    p class="muted" { "A script brings the agent on a host to this tower. The host calls home, and waits until it is claimed." }
                }
                (Problem::shown_unless(self.wrong.is_some(), self.problem.as_ref()))
            }
            div class="stack-l" {
                @if let Some(of) = self.granularity { (self.order(of, viewer)) }
            }
        };
        Page::of_hosts(viewer, HostPage::Install, &main)
    }

    fn order(&self, of: Granularity, viewer: &Viewer) -> Markup {
        let (asked, meaning) = granularity(of);
        let facts = html! {
            dl class="facts" {
                dt { "The settings ask for" }
                dd {
                    (asked) " (" code { (of.as_str()) } ")"
                    @if viewer.hosts.contains(&HostPage::Settings) { ". " a href=(HostPage::Settings.path()) { "Change the settings" } }
                    p class="muted small" { (meaning) }
                }
                dt { "Hosts call home to" } dd { code { (self.url) } }
            }
        };
        let content = html! {
            div class="stack" {
                (facts)
                @if of == Granularity::Never {
                    (form(HostPage::Install.path(), &viewer.token, &html! { button class="button" { "Make the script" } }))
                } @else { (form(HostPage::Install.path(), &viewer.token, &self.fields(of))) }
            }
        };
        section("order", if of == Granularity::Never { "Script" } else { "Call-home certificate" }, &content)
    }

    fn fields(&self, of: Granularity) -> Markup {
        let error = |name: &str| {
            let said = Wrong::of(self.wrong.as_ref(), name)?;
            Some(words(name).map_or(said, str::to_owned))
        };
        let sites = self.sites.as_deref().unwrap_or_default();
        let listed: Vec<(String, String)> = sites.iter().map(|site| (site.clone(), site.clone())).collect();
        let uses = match of {
            Granularity::HostId => "One where it is left empty, since the certificate is for one host.",
            _ => "As many as there are where it is left empty.",
        };
        html! {
            @if of == Granularity::Site {
                @if listed.is_empty() {
                    (Field {
                        value: &self.draft.site,
                        error: error("site").as_deref(),
                        hint: Some("The site that the hosts will be claimed for."),
                        ..Field::text("site", "Site")
                    }.show())
                } @else {
                    (Select {
                        id: "field-site",
                        name: "site",
                        label: "Site",
                        options: &listed,
                        value: &self.draft.site,
                        hint: Some("Hosts with this certificate can be claimed for this site alone."),
                        error: error("site").as_deref(),
                    }.show())
                }
            }
            @if of == Granularity::HostId {
                (Field {
                    value: &self.draft.host_id,
                    error: error("host-id").as_deref(),
                    hint: Some("Or its hash, with `sha256:` before it, as `edge-agent status` on the host says it. The host-id is a shared secret: the certificate holds the hash alone."),
                    ..Field::text("host-id", "Host-id")
                }.show())
            }
            (Field {
                value: &self.draft.ttl,
                error: error("ttl").as_deref(),
                hint: Some("From a minute to 30 days, such as 12h. A host that calls later is refused, and needs another certificate."),
                ..Field::text("ttl", "Good for")
            }.show())
            (Field {
                value: &self.draft.max_uses,
                error: error("max-uses").as_deref(),
                required: false,
                hint: Some(uses),
                ..Field::text("max-uses", "For how many hosts")
            }.show())
            p class="muted small" {
                "The certificate is for calling home alone: a host that is claimed gets an identity of its own."
            }
            button class="button" { "Issue certificate" }
        }
    }
}

impl Script {
    /// What is typed on the host: it is run only if it is the one that was made here.
    fn command(&self) -> String {
        let Self { digest, file, .. } = self;
        format!("echo '{digest}  {file}' | sha256sum -c - && sudo sh ./{file}")
    }

    /// As a page.
    pub fn page(&self, viewer: &Viewer) -> Page {
        let main = html! {
            header class="stack" {
                h1 { "Install agent" }
                @match &self.certificate {
                    Some(_) => (notice(Tone::Warn, &html! {
                        p { strong { "The certificate was issued, and its key is in the script. " } "Take the script now: it is not shown again. Whoever has it can call home with it, so hand it on as you would a password." }
                    })),
                    None => (notice(Tone::Good, &html! { p { "The script was made. There is no secret in it." } })),
                }
            }
            div class="stack-l" {
                (section("take", "On the host", &self.steps(viewer)))
                @if let Some(certificate) = &self.certificate { (section("certificate", "The certificate", &facts(certificate, &self.url))) }
                p { a href=(HostPage::Install.path()) { "Make another one" } }
            }
        };
        Page::of_hosts(viewer, HostPage::Install, &main)
    }

    fn steps(&self, viewer: &Viewer) -> Markup {
        html! { div class="stack" {
            ol class="steps" {
                li {
                    div class="stack-s" {
                        p { "Download the script, and copy it to the host." }
                        (form("/install/script", &viewer.token, &html! {
                            input type="hidden" name="script" value=(self.encoded);
                            button class="button" { "Download " (self.file) }
                        }))
                    }
                }
                li {
                    div class="stack-s" {
                        p { "Run it there, beside it, where " code { "edge-agent" } " is installed. The command first compares its SHA-256 with the one of the script that was made here." }
                        (component::copied_block("command", "the command", &self.command()))
                        p class="muted small" { "SHA-256 " code id="digest" { (self.digest) } }
                    }
                }
                li {
                    div class="stack-s" {
                        p { "The host appears among the unclaimed ones within seconds." }
                        p { a class="button second" href=(HostPage::List.path()) { "To the hosts" } }
                    }
                }
            }
            details class="more" {
                summary { "Read the script" @if self.certificate.is_some() { ", with its secret key" } }
                pre class="code block" id="script" tabindex="0" aria-label="The script" { (self.text) }
            }
        } }
    }
}

fn facts(certificate: &Certificate, url: &str) -> Markup {
    html! {
        dl class="facts" {
            dt { "For" } dd { (prose(&sentence(&certificate.scope))) }
            dt { "Good until" } dd { (when(certificate.expires)) }
            dt { "Hosts" } dd { @match certificate.max_uses { Some(1) => "One", Some(most) => { "At most " (most) }, None => "As many as there are" } }
            dt { "Calls home to" } dd { code { (url) } }
            dt { "Serial number" } dd { code { (certificate.serial) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::layout::tests::viewer;

    fn page(granularity: Granularity, sites: Option<Vec<String>>) -> String {
        let wrong = Some(Wrong { field: "ttl".to_owned(), message: "a unit is missing; write `<1d>`".to_owned() });
        let draft = Draft { host_id: "\"><script>".to_owned(), ..Draft::default() };
        let url = "https://tower.example:4647".to_owned();
        let install = Install { problem: None, wrong, granularity: Some(granularity), url, sites, draft };
        let viewer = Viewer { hosts: HostPage::ALL.to_vec(), ..viewer() };
        install.page(&viewer).text().to_owned()
    }

    #[test]
    fn what_is_asked_for_follows_the_settings() {
        let names = |text: &str| -> Vec<String> {
            let all = text.split(" name=\"").skip(1).filter_map(|rest| rest.split('"').next());
            all.filter(|name| ["site", "host-id", "ttl", "max-uses"].contains(name)).map(str::to_owned).collect()
        };
        let text = page(Granularity::CertificateOnly, None);
        assert_eq!(names(&text), ["ttl", "max-uses"]);
        assert!(text.contains("certificate-only") && text.contains(r#"value="1d""#));
        assert!(text.contains(r#"id="field-ttl-error">Write a time from a minute to 30 days"#), "{text}");
        assert_eq!(names(&page(Granularity::Site, Some(vec!["oslo".to_owned()]))), ["site", "ttl", "max-uses"]);
        let text = page(Granularity::HostId, None);
        assert_eq!(names(&text), ["host-id", "ttl", "max-uses"]);
        assert!(!text.contains("<script>"), "{text}");
        assert!(names(&page(Granularity::Never, None)).is_empty());
    }

    #[test]
    fn what_the_settings_ask_for_has_to_be_there() {
        let missing = |of, site: &str, host_id: &str| {
            let draft = Draft { site: site.to_owned(), host_id: host_id.to_owned(), ..Draft::default() };
            draft.missing(of).map(|wrong| wrong.field)
        };
        assert_eq!(missing(Granularity::Site, "", "a").as_deref(), Some("site"));
        assert_eq!(missing(Granularity::HostId, "a", "").as_deref(), Some("host-id"));
        assert_eq!(missing(Granularity::Site, "a", ""), None);
        assert_eq!(missing(Granularity::CertificateOnly, "", ""), None);
    }

    #[test]
    fn the_command_holds_the_digest_and_no_secret() {
        let script = Script {
            url: "https://tower.example:4647".to_owned(),
            text: "#!/bin/sh\n# KEY </pre><script>".to_owned(),
            encoded: "QUJD".to_owned(),
            digest: "ab".repeat(32),
            file: "install.sh".to_owned(),
            certificate: None,
        };
        assert_eq!(
            script.command(),
            format!("echo '{}  install.sh' | sha256sum -c - && sudo sh ./install.sh", "ab".repeat(32))
        );
        let text = script.page(&viewer()).text().to_owned();
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"), "{text}");
        assert!(!text.contains("href=\"data:"), "{text}");
    }
}
