//! The overview: what needs doing, the keys with their lives drawn, the roles, what was refused lately.

use maud::{Markup, html};
use time::OffsetDateTime;

use super::{
    component::{
        Column, Tone, badge, copied_block, empty, listed, notice, prose, section, table, unspaced, when, word,
    },
    layout::{HostPage, Page, Place, Viewer},
    timeline::{Life, legend, timeline},
};

/// Something that needs doing.
#[derive(Clone, Debug)]
pub struct Todo {
    /// How much.
    pub tone: Tone,
    /// What, in a sentence.
    pub text: String,
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub cipher: String,
    /// Whether it signs tokens.
    pub signs_tokens: bool,
    /// When its next version is made.
    pub next_rotation: Option<OffsetDateTime>,
    /// Its versions that are not over, oldest first.
    pub lives: Vec<Life>,
    /// How many are over.
    pub over: usize,
}

/// A role that workloads log in to.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its policies.
    pub policies: Vec<String>,
    /// The identity that it gives.
    pub spiffe_id: Option<String>,
}

/// Something that was refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// When.
    pub time: OffsetDateTime,
    /// What was tried.
    pub event: String,
    /// By whom, as far as that is known.
    pub subject: String,
    /// From where.
    pub source: String,
    /// Why not.
    pub reason: String,
}

/// What a part of the page came to: the reader may not see all.
#[derive(Clone, Debug)]
pub enum Part<T> {
    /// This, and whether there is more than is shown.
    Shown(Vec<T>, bool),
    /// The reader's policies do not let them see it.
    NotPermitted,
}

/// What somebody does first at a new tower.
#[derive(Clone, Debug)]
pub struct First {
    /// Where the tower is, for a command line.
    pub url: String,
    /// The tenant, where it has to be named.
    pub tenant: Option<String>,
}

/// The page.
#[derive(Clone, Debug)]
pub struct Overview {
    /// What to begin with, where nothing is there yet.
    pub first: Option<First>,
    /// What needs doing.
    pub todos: Vec<Todo>,
    /// The keys.
    pub keys: Part<Key>,
    /// The roles.
    pub roles: Part<Role>,
    /// What was refused lately, the latest first.
    pub refusals: Part<Refusal>,
    /// The trust domain and the issuer, where there is one.
    pub issuer: Option<(String, String)>,
}

impl Overview {
    /// As a page.
    pub fn page(&self, viewer: &Viewer, now: OffsetDateTime) -> Page {
        let main = html! {
            header {
                h1 { "Overview" }
                @if let Some((trust_domain, issuer)) = &self.issuer {
                    p class="muted" { "Trust domain " code { (unspaced(trust_domain)) } ", issuer " code { (unspaced(issuer)) } }
                }
            }
            div class="stack-l" {
                (section("todo", "What needs doing", &self.todos()))
                @if let Some(first) = &self.first { (section("first", "First steps", &first.show(viewer))) }
                (section("keys", "Keys", &part(&self.keys, "keys", |keys| show_keys(keys, now))))
                (section("roles", "Roles", &part(&self.roles, "roles", show_roles)))
                (section("refusals", "Refused lately", &part(&self.refusals, "audit log", show_refusals)))
            }
        };
        Page::within(viewer, Some(Place::Overview), "Overview", &main)
    }

    /// Whether the reader may see all that something could be wrong with.
    fn is_whole(&self) -> bool {
        !matches!(self.keys, Part::NotPermitted) && !matches!(self.roles, Part::NotPermitted)
    }

    fn todos(&self) -> Markup {
        html! {
            @if self.todos.is_empty() && self.is_whole() { (notice(Tone::Good, &html! { "Nothing. All is well." })) }
            @else if self.todos.is_empty() { (empty("Nothing that your policies let you see.", &html! {})) }
            @else {
                ul class="stack-s" { @for todo in &self.todos { li { (notice(todo.tone, &prose(&todo.text))) } } }
            }
        }
    }
}

/// What the second step makes: a key that all clouds accept and that rotates by itself, identities, a role.
const BEGINNING: &str = "supctl bulk -f - <<'YAML'
x-path: /v1/config/strongbox/transit-keys/identities
x-operation: replace
name: identities
cipher: rsa-2048
auto-rotate: {rotate-after: 30d, activate-after: 1d, deprecate-after: 2d, invalidate-after: 2d}
---
x-path: /v1/config/strongbox/authentication/spiffe-settings
x-operation: replace
jwt-signing-key: identities
---
x-path: /v1/config/strongbox/authentication/approles/web
x-operation: replace
name: web
token-spiffe-jwt: {jwt-audiences: [sts.amazonaws.com]}
YAML";

impl First {
    fn show(&self, viewer: &Viewer) -> Markup {
        let tenant = self.tenant.iter().map(|tenant| format!(" --tenant {}", word(tenant))).collect::<String>();
        let (url, email) = (word(&self.url), word(&viewer.email));
        let log_in = format!("supctl --tower {url} --ca tower-data/ca.pem login{tenant} --username {email}");
        html! {
            ol class="steps" {
                li class="stack-s" {
                    p { "Log in at a command line. The file is the certificate that the tower named at its first start; without " code { "--ca" } " where a public authority issued it." }
                    (copied_block("first-login", "the command to log in", &log_in))
                }
                li class="stack-s" {
                    p { "Paste what workloads get their identities by: a key that rotates by itself, and a role " code { "web" } "." }
                    (copied_block("first-documents", "the command with the documents", BEGINNING))
                }
                li {
                    p {
                        "Log in with less effort and more safety: " a href="/account#passkeys" { "add a passkey" } "."
                        @if viewer.administers { " Let others in: " a href="/users" { "make users" } "." }
                    }
                }
                @if viewer.hosts.contains(&HostPage::Install) {
                    li { p { "Bring hosts in: " a href=(HostPage::Install.path()) { "install an agent" } "." } }
                }
            }
        }
    }
}

fn part<T>(part: &Part<T>, what: &str, show: impl FnOnce(&[T]) -> Markup) -> Markup {
    html! {
        @match part {
            Part::NotPermitted => { (empty(&format!("Your policies do not let you see the {what}."), &html! {})) }
            Part::Shown(things, more) => {
                div class="stack" {
                    (show(things))
                    @if *more { p class="muted small" { "There are more; " code { "supctl" } " and the API list all of them." } }
                }
            }
        }
    }
}

fn show_keys(keys: &[Key], now: OffsetDateTime) -> Markup {
    if keys.is_empty() {
        return empty(
            "There are no keys yet.",
            &html! {
                p class="small" { "Make one: " code { "supctl create strongbox/transit-keys/tokens" } }
            },
        );
    }
    html! {
        div class="stack-l" {
            (legend())
            @for key in keys {
                div class="stack key" {
                    div class="row between" {
                        div class="row" {
                            h3 { (key.name) }
                            (badge(Tone::Plain, &key.cipher))
                            @if key.signs_tokens { (badge(Tone::Info, "signs tokens")) }
                        }
                        p class="muted small" {
                            @match key.next_rotation {
                                Some(moment) if moment <= now => "The next version is due",
                                Some(moment) => { "Next version " (when(moment)) }
                                None => "Rotated by hand",
                            }
                        }
                    }
                    @if key.lives.is_empty() { p class="muted" { "It has no version that is in use." } }
                    @else { (timeline(&key.lives, now)) }
                    @if key.over > 0 {
                        p class="muted small" { (key.over) @if key.over == 1 { " version is" } @else { " versions are" } " over." }
                    }
                }
            }
        }
    }
}

fn show_roles(roles: &[Role]) -> Markup {
    if roles.is_empty() {
        return empty(
            "There are no roles yet.",
            &html! {
                p class="small" { "A role is what a workload logs in to: " code { "supctl create strongbox/authentication/approles/web" } }
            },
        );
    }
    let columns = [Column::new("Role"), Column::new("Policies"), Column::new("Identity")];
    let rows: Vec<Vec<Markup>> = roles
        .iter()
        .map(|role| {
            vec![
                html! { strong { (role.name) } },
                html! {
                    @if role.policies.is_empty() { span class="muted" { "none" } }
                    @else { (listed(role.policies.iter().map(String::as_str))) }
                },
                html! { @match &role.spiffe_id { Some(id) => code { (unspaced(id)) }, None => span class="muted" { "none" } } },
            ]
        })
        .collect();
    table("Roles", &columns, &rows)
}

fn show_refusals(refusals: &[Refusal]) -> Markup {
    if refusals.is_empty() {
        return empty("Nothing was refused.", &html! {});
    }
    let columns =
        [Column::new("When"), Column::new("What"), Column::new("By whom"), Column::new("From"), Column::new("Why not")];
    let rows: Vec<Vec<Markup>> = refusals
        .iter()
        .map(|refusal| {
            let or_unknown = |text: &str| match text.is_empty() {
                true => html! { span class="muted" { "not known" } },
                false => html! { (text) },
            };
            vec![
                when(refusal.time),
                html! { (in_words(&refusal.event)) },
                or_unknown(&refusal.subject),
                or_unknown(&refusal.source),
                prose(&in_words(&refusal.reason)),
            ]
        })
        .collect();
    table("Refused lately", &columns, &rows)
}

/// A code of the audit log as people read it; a sentence as it is.
fn in_words(code: &str) -> String {
    if code.contains(' ') { code.to_owned() } else { code.replace('-', " ") }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::pages::layout::tests::viewer;

    #[test]
    fn names_of_others_are_text_and_what_may_not_be_seen_is_said() {
        let now = datetime!(2026-03-01 12:00 UTC);
        let refusal = Refusal {
            time: now,
            event: "login".into(),
            subject: String::new(),
            source: "192.0.2.1".into(),
            reason: "<script>alert(1)</script>".into(),
        };
        let overview = Overview {
            todos: vec![Todo { tone: Tone::Warn, text: "<b>issuer</b>".into() }],
            keys: Part::Shown(vec![], false),
            roles: Part::NotPermitted,
            refusals: Part::Shown(vec![refusal], true),
            issuer: Some(("tower.example".into(), "https://tower.example/t".into())),
            first: None,
        };
        let text = overview.page(&viewer(), now).text().to_owned();
        assert!(!text.contains("<script>alert") && !text.contains("<b>issuer"), "{text}");
        for part in ["There are no keys yet.", "do not let you see the roles", "not known", "There are more"] {
            assert!(text.contains(part), "{part}");
        }
        let unseen = Overview { todos: vec![], ..overview.clone() }.page(&viewer(), now).text().to_owned();
        assert!(
            unseen.contains("Nothing that your policies let you see.") && !unseen.contains("All is well"),
            "{unseen}"
        );
        assert!(!unseen.contains("First steps"));
        let first = Some(First { url: "https://tower.example:4646".into(), tenant: None });
        let new = Overview { first, ..overview.clone() }.page(&viewer(), now).text().to_owned();
        for word in ["supctl", "https://tower.example:4646", "--ca", "ann@example.com"] {
            assert!(new.contains(&format!(">{word}</span>")), "{word}: {new}");
        }
        assert!(!new.contains("--tenant"));
        // What a shell would take for something else is quoted, and no markup.
        let hostile = Viewer { email: "o'brien|`id`@example.com".into(), ..viewer() };
        let first = Some(First { url: "https://<tower>".into(), tenant: Some("acme".into()) });
        let other = Overview { first, ..overview.clone() }.page(&hostile, now).text().to_owned();
        for word in ["'https://&lt;tower&gt;'", "--tenant", "acme", r"'o'\''brien|`id`@example.com'"] {
            assert!(other.contains(&format!(">{word}</span>")), "{word}: {other}");
        }
        assert!(!new.contains(HostPage::Install.path()), "it is not for this reader");
        let fine = Overview { todos: vec![], roles: Part::Shown(vec![], false), ..overview };
        assert!(fine.page(&viewer(), now).text().contains("Nothing. All is well."));
    }
}
