//! The page of the call-home settings.

use keyward_callhome_cert::Granularity;
use maud::{Markup, html};

use super::{
    component::{Area, Check, Field, Radios, Select, Tone, form, notice, section},
    form::Wrong,
    install::granularity,
    layout::{HostPage, Page, Viewer},
    problem::Problem,
};

/// What is in the form, as it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// `client-certificate.verify`.
    pub verify: String,
    /// `client-certificate.handshake`.
    pub handshake: String,
    /// `client-certificate.lb-mode`.
    pub lb_mode: String,
    /// `client-certificate.lb-addresses`, one a line.
    pub lb_addresses: String,
    /// `client-certificate.proxy-protocol`.
    pub proxy_protocol: String,
    /// `enable-unclaimed`.
    pub enable_unclaimed: bool,
    /// `max-unclaimed`.
    pub max_unclaimed: String,
    /// `max-duplicates`.
    pub max_duplicates: String,
    /// `external-url`.
    pub external_url: String,
    /// `external-ca-pem`.
    pub external_ca_pem: String,
}

/// The page.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What did not work as a whole.
    pub problem: Option<Problem>,
    /// What of the form was not accepted.
    pub wrong: Option<Wrong>,
    /// What was done.
    pub done: bool,
    /// The settings, or what was typed.
    pub draft: Draft,
    /// The document that the form is about: its revision, empty where there is none yet.
    pub revision: String,
    /// Whether the reader may change them.
    pub may_change: bool,
    /// Whether something of them is hidden from the reader.
    pub hides: bool,
}

impl Draft {
    /// What is wrong with a field that was not accepted, by what else is in the form.
    fn words(&self, field: &str) -> Option<&'static str> {
        let (has_no_certificate, hands_on) = (self.verify == "never", self.lb_mode != "none");
        Some(match field {
            "client-certificate.handshake" if has_no_certificate => {
                "A certificate cannot be required of hosts that have to show none: choose what they have to show, or that it is optional."
            }
            "client-certificate.handshake" if hands_on => {
                "A load balancer that passes certificates on has none of its own to show: choose that it is optional."
            }
            "client-certificate.handshake" if self.enable_unclaimed => {
                "A host that waits to be claimed comes again without a certificate: choose that it is optional, or let no host wait (under “Unclaimed hosts”) and list the hosts in the documents of their sites."
            }
            "client-certificate.lb-mode" if has_no_certificate => {
                "Hosts have to show no certificate that could be passed on: choose what they have to show, or that none is passed on."
            }
            "client-certificate.lb-addresses" if self.lb_addresses.is_empty() => {
                "Name the networks that the load balancer connects from."
            }
            "client-certificate.lb-addresses" if !hands_on && self.proxy_protocol != "required" => {
                "There is no load balancer by what is chosen above: choose how certificates are passed on, or that the PROXY protocol is required, or leave this empty."
            }
            "max-unclaimed" | "max-duplicates" => "Write a whole number from 1 to 1000.",
            "external-url" => {
                "Write an address such as `https://lb.example.com:4647`, without a user name; what a shell could mistake is percent-encoded in it."
            }
            "external-ca-pem" => "This cannot be read as certificates: each begins with `-----BEGIN CERTIFICATE-----`.",
            _ => return None,
        })
    }
}

const GRANULARITIES: [Granularity; 4] =
    [Granularity::Never, Granularity::CertificateOnly, Granularity::Site, Granularity::HostId];

impl Settings {
    /// As a page.
    pub fn page(&self, viewer: &Viewer) -> Page {
        let main = html! {
            header class="stack" {
                div {
                    h1 { "Call-home settings" }
                    p class="muted" { "Which hosts may call home, and what they have to show." }
                }
                (Problem::shown_unless(self.wrong.is_some(), self.problem.as_ref()))
                @if self.done { (notice(Tone::Good, &html! { "The settings were changed, and hold from now on." })) }
                @if !self.may_change { (notice(Tone::Info, &html! { "You may look at the settings, and not change them." })) }
                @if self.hides { (notice(Tone::Info, &html! { "Some of the settings are hidden from you. What you do not change stays as it is." })) }
            }
            (form(HostPage::Settings.path(), &viewer.token, &self.fields()))
        };
        Page::of_hosts(viewer, HostPage::Settings, &main)
    }

    fn fields(&self) -> Markup {
        html! {
            input type="hidden" name="revision" value=(self.revision);
            fieldset class="stack-l" disabled[!self.may_change] {
                legend class="visually-hidden" { "Settings" }
                (section("certificates", "Certificates", &self.certificates()))
                (section("balancers", "Load balancers", &self.balancers()))
                (section("rings", "Unclaimed hosts", &self.rings()))
                (section("place", "Where hosts call home", &self.place()))
                @if self.may_change { button class="button" { "Save the settings" } }
            }
        }
    }

    /// In the words of the form, which has labels where the interface has fields.
    fn error(&self, field: &str) -> Option<String> {
        let said = Wrong::of(self.wrong.as_ref(), field)?;
        let is_one_of_a_list = self.wrong.as_ref().is_some_and(|wrong| wrong.field.ends_with(']'));
        let words = self.draft.words(field).filter(|_| !is_one_of_a_list);
        Some(words.map_or(said, str::to_owned))
    }

    fn certificates(&self) -> Markup {
        let draft = &self.draft;
        let words: Vec<(&str, String, &str)> = GRANULARITIES
            .iter()
            .map(|one| {
                let (words, meaning) = granularity(*one);
                (one.as_str(), format!("{}: {words}", one.as_str()), meaning)
            })
            .collect();
        let options: Vec<(&str, &str, &str)> =
            words.iter().map(|(value, words, meaning)| (*value, words.as_str(), *meaning)).collect();
        let handshake = [
            ("optional", "optional", "A host without one is told in words what is missing."),
            (
                "required",
                "required",
                "The connection ends without one, before anything is said. For sites that list all their hosts, where none waits to be claimed.",
            ),
        ];
        html! {
            div class="stack" {
                (Radios {
                    name: "verify",
                    label: "What a host has to show",
                    options: &options,
                    value: &draft.verify,
                    error: self.error("client-certificate.verify").as_deref(),
                }.show())
                p class="muted small" { "Narrowing it refuses broader certificates that were issued before." }
                (Radios {
                    name: "handshake",
                    label: "In the TLS handshake a certificate is",
                    options: &handshake,
                    value: &draft.handshake,
                    error: self.error("client-certificate.handshake").as_deref(),
                }.show())
            }
        }
    }

    fn balancers(&self) -> Markup {
        let draft = &self.draft;
        let modes = [
            ("none".to_owned(), "none: hosts speak TLS with the tower".to_owned()),
            ("aws-passthrough".to_owned(), "aws-passthrough: in the header X-Amzn-Mtls-Clientcert".to_owned()),
        ];
        let proxies = [
            ("forbidden".to_owned(), "forbidden".to_owned()),
            ("required".to_owned(), "required: connections begin with a PROXY header, version 2".to_owned()),
        ];
        html! {
            div class="stack" {
                (Select {
                    id: "field-lb-mode",
                    name: "lb-mode",
                    label: "Certificates are passed on",
                    options: &modes,
                    value: &draft.lb_mode,
                    hint: Some("How a load balancer hands the certificates of hosts to the tower."),
                    error: self.error("client-certificate.lb-mode").as_deref(),
                }.show())
                (Select {
                    id: "field-proxy-protocol",
                    name: "proxy-protocol",
                    label: "PROXY protocol",
                    options: &proxies,
                    value: &draft.proxy_protocol,
                    hint: Some("For load balancers that pass TCP on. It is never guessed."),
                    error: self.error("client-certificate.proxy-protocol").as_deref(),
                }.show())
                (Area {
                    name: "lb-addresses",
                    label: "Networks that load balancers connect from",
                    value: &draft.lb_addresses,
                    lines: 3,
                    hint: Some("One a line, such as `10.0.0.0/16`. From anywhere else their headers are refused."),
                    error: self.error("client-certificate.lb-addresses").as_deref(),
                }.show())
            }
        }
    }

    fn rings(&self) -> Markup {
        let draft = &self.draft;
        html! {
            div class="stack" {
                (Check {
                    name: "enable-unclaimed",
                    value: "yes",
                    label: "Hosts that no site lists may call home, and wait to be claimed",
                    hint: None,
                    checked: draft.enable_unclaimed,
                }.show())
                @if let Some(error) = self.error("enable-unclaimed") { p class="error" { (error) } }
                (Field {
                    value: &draft.max_unclaimed,
                    error: self.error("max-unclaimed").as_deref(),
                    hint: Some("1 to 1000. Who was seen longest ago makes room for others."),
                    ..Field::text("max-unclaimed", "Most unclaimed hosts")
                }.show())
                (Field {
                    value: &draft.max_duplicates,
                    error: self.error("max-duplicates").as_deref(),
                    hint: Some("1 to 1000 machines that call with the host-id of another one."),
                    ..Field::text("max-duplicates", "Most duplicates")
                }.show())
            }
        }
    }

    fn place(&self) -> Markup {
        let draft = &self.draft;
        html! {
            div class="stack" {
                (Field {
                    value: &draft.external_url,
                    required: false,
                    error: self.error("external-url").as_deref(),
                    hint: Some("A load balancer's URL, where hosts do not call the tower itself."),
                    ..Field::text("external-url", "External URL")
                }.show())
                (Area {
                    name: "external-ca-pem",
                    label: "Certificates that verify it",
                    value: &draft.external_ca_pem,
                    lines: 4,
                    hint: Some("In PEM, where the tower's own do not."),
                    error: self.error("external-ca-pem").as_deref(),
                }.show())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::layout::tests::viewer;

    #[test]
    fn errors_are_at_their_fields_and_what_was_typed_stays() {
        let draft = Draft {
            verify: "site".to_owned(),
            handshake: "optional".to_owned(),
            lb_mode: "aws-passthrough".to_owned(),
            lb_addresses: "10.0.0.0/16\n</textarea><script>".to_owned(),
            proxy_protocol: "forbidden".to_owned(),
            enable_unclaimed: false,
            max_unclaimed: "many".to_owned(),
            max_duplicates: "20".to_owned(),
            external_url: String::new(),
            external_ca_pem: String::new(),
        };
        let wrong = |field: &str| Some(Wrong { field: field.to_owned(), message: "no".to_owned() });
        let settings = Settings {
            problem: None,
            wrong: wrong("client-certificate.lb-addresses[1]"),
            done: false,
            draft,
            revision: "7".to_owned(),
            may_change: true,
            hides: false,
        };
        let text = settings.page(&viewer()).text().to_owned();
        assert!(!text.contains("<script>"), "{text}");
        assert!(text.contains(r#"id="field-lb-addresses-error">No.<"#), "{text}");
        assert!(text.contains(r#"value="site" checked"#) && text.contains(r#"value="many""#));
        assert!(text.contains(r#"<option value="aws-passthrough" selected>"#));
        for field in [
            "client-certificate.verify",
            "client-certificate.handshake",
            "client-certificate.lb-mode",
            "client-certificate.proxy-protocol",
            "max-unclaimed",
            "max-duplicates",
            "external-url",
            "external-ca-pem",
            "enable-unclaimed",
        ] {
            let text = Settings { wrong: wrong(field), ..settings.clone() }.page(&viewer()).text().to_owned();
            assert_eq!(text.matches(r#"class="error""#).count(), 1, "{field}");
        }
        let held = Settings { may_change: false, ..settings }.page(&viewer()).text().to_owned();
        assert!(held.contains("disabled") && !held.contains("Save the settings"));
    }
}
