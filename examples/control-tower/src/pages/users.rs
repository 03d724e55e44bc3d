//! The administrators' page of users.

use maud::{Markup, html};
use time::OffsetDateTime;

use super::{
    component::{self, Act, Check, Field, Kind, Tone, badge, empty, form, notice, prose, section, unspaced, when},
    form::Wrong,
    layout::{Page, Place, Viewer},
    problem::{Problem, sentence},
};

/// A user as the list shows them.
#[derive(Clone, Debug)]
pub struct User {
    /// Their address.
    pub email: String,
    /// What people call them, where that is something else.
    pub name: Option<String>,
    /// Their policies.
    pub policies: Vec<String>,
    /// What they have set up, in words.
    pub has: Vec<&'static str>,
    /// The providers at which they log in.
    pub providers: Vec<String>,
    /// What every login must prove, in words.
    pub enforced: Vec<&'static str>,
    /// Whether they are kept out.
    pub locked: bool,
    /// When they last logged in.
    pub last_login: Option<OffsetDateTime>,
    /// Whether it is the reader.
    pub is_reader: bool,
}

/// A link that sets up what a user lacks, shown this once.
#[derive(Clone)]
pub struct Link {
    /// For whom.
    pub email: String,
    /// The link.
    pub url: String,
    /// Until when it works.
    pub expires: OffsetDateTime,
}

/// What is in the form of a new user.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Their address.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// Their policies.
    pub policies: String,
    /// What is enforced.
    pub enforced: Vec<String>,
}

/// The page.
#[derive(Clone)]
pub struct Users {
    /// What did not work.
    pub problem: Option<Problem>,
    /// What was done.
    pub done: Option<String>,
    /// What was accepted and may still surprise.
    pub warnings: Vec<String>,
    /// A link that was made.
    pub link: Option<Link>,
    /// They.
    pub users: Vec<User>,
    /// Where the next page of them is.
    pub next: Option<String>,
    /// The policies that there are, as suggestions.
    pub policies: Vec<String>,
    /// What was typed and not accepted.
    pub draft: Option<Draft>,
    /// The field of it that is wrong.
    pub wrong: Option<Wrong>,
}

/// The methods that can be enforced: what the form says, what people read, what it means.
const METHODS: [(&str, &str, &str); 3] = [
    ("password", "Password", "They set it with the link."),
    ("totp", "One-time password", "They set it up at the first login."),
    ("passkey", "Passkey", "They make it at the first login, and nothing else lets them in then."),
];

impl Users {
    /// As a page.
    pub fn page(&self, viewer: &Viewer) -> Page {
        let main = html! {
            header class="stack" {
                div {
                    h1 { "Users" }
                    p class="muted" { "Those who log in to the tenant " (viewer.tenant) "." }
                }
                (Problem::shown_unless(self.wrong.is_some(), self.problem.as_ref()))
                @if let Some(done) = &self.done { (notice(Tone::Good, &html! { (done) })) }
                @for warning in &self.warnings { (notice(Tone::Warn, &prose(&sentence(warning)))) }
                @if let Some(link) = &self.link { (enrolment(link)) }
            }
            div class="stack-l" {
                (section("list", "All users", &self.list(viewer)))
                (section("create", "New user", &self.create(viewer)))
            }
        };
        Page::within(viewer, Some(Place::Users), "Users", &main)
    }

    fn list(&self, viewer: &Viewer) -> Markup {
        if self.users.is_empty() {
            return empty("There are no users.", &html! { p class="small" { "Make the first one below." } });
        }
        html! {
            div class="stack" {
                ul class="items" { @for user in &self.users { li { (one(user, viewer)) } } }
                @if let Some(next) = &self.next { p { a href=(next) { "More users" } } }
            }
        }
    }

    fn create(&self, viewer: &Viewer) -> Markup {
        let draft = self.draft.clone().unwrap_or_default();
        let error = |field: &str| Wrong::of(self.wrong.as_ref(), field);
        let (email, name, policies) = (error("name"), error("display-name"), error("policies"));
        let content = html! {
            (Field {
                value: &draft.email,
                kind: Kind::Email,
                error: email.as_deref(),
                ..Field::text("email", "Email or user name")
            }.show())
            (Field {
                value: &draft.name,
                required: false,
                error: name.as_deref(),
                hint: Some("What people read instead of the address."),
                ..Field::text("display-name", "Name")
            }.show())
            (Field {
                value: &draft.policies,
                required: false,
                error: policies.as_deref(),
                hint: Some(&self.suggestion()),
                ..Field::text("policies", "Policies")
            }.show())
            fieldset class="field" {
                legend class="label" { "Every login must prove" }
                div class="checks" {
                    @for (value, label, hint) in METHODS {
                        (Check {
                            name: "enforced",
                            value,
                            label,
                            hint: Some(hint),
                            checked: draft.enforced.iter().any(|one| one == value),
                        }.show())
                    }
                }
            }
            p class="muted small" { "You get a link for them, with which they set up their login. It is shown once." }
            button class="button" { "Create the user" }
        };
        form("/users", &viewer.token, &content)
    }

    fn suggestion(&self) -> String {
        let names = component::listed(self.policies.iter().take(8).map(String::as_str));
        match names.is_empty() {
            true => "Names, separated by spaces.".to_owned(),
            false => format!("Names, separated by spaces, such as {names}."),
        }
    }
}

fn one(user: &User, viewer: &Viewer) -> Markup {
    let providers = user.providers.iter().map(|name| format!("the provider {name}"));
    let ways: Vec<String> = user.has.iter().map(|&one| one.to_owned()).chain(providers).collect();
    html! {
        div class="grow" {
            p class="row" {
                strong { (unspaced(&user.email)) }
                @if user.is_reader { (badge(Tone::Info, "You")) }
                @if user.locked { (badge(Tone::Danger, "Locked")) }
            }
            @if let Some(name) = &user.name { p { bdi { (name) } } }
            p class="muted small" {
                @match user.last_login { Some(moment) => { "Last login " (when(moment)) }, None => "Never logged in" }
                @if !user.policies.is_empty() { ", " (policies(&user.policies)) }
            }
            p class="muted small" {
                @if ways.is_empty() { "Nothing set up yet" }
                @else { "Logs in with " (component::listed(ways.iter().map(String::as_str))) }
                @if !user.enforced.is_empty() { "; must prove " (component::listed(user.enforced.iter().copied())) }
            }
        }
        (actions(user, viewer))
    }
}

fn policies(names: &[String]) -> String {
    let word = if names.len() == 1 { "policy" } else { "policies" };
    format!("{word} {}", component::listed(names.iter().map(String::as_str)))
}

fn actions(user: &User, viewer: &Viewer) -> Markup {
    let who = html! { input type="hidden" name="email" value=(user.email); };
    let whose = html! { span class="visually-hidden" { " " (user.email) } };
    let lock = form(
        if user.locked { "/users/unlock" } else { "/users/lock" },
        &viewer.token,
        &html! {
            (who)
            button class="button slim second" { @if user.locked { "Unlock" } @else { "Lock" } (whose) }
        },
    );
    let has = |label: &str| user.has.iter().any(|one| one.eq_ignore_ascii_case(label));
    let reset = form(
        "/users/reset",
        &viewer.token,
        &html! {
            (who)
            fieldset class="stack-s" {
                legend {
                    @if user.has.is_empty() { "They have nothing set up that could be lost. What you choose is set up with the link that you get." }
                    @else { "What was lost is taken away, and set up anew with the link that you get." }
                }
                @for (value, label, _) in METHODS {
                    @let hint = (!user.has.is_empty() && !has(label)).then_some("They have none yet.");
                    (Check { name: "methods", value, label, hint, checked: false }.show())
                }
            }
            @if !user.providers.is_empty() {
                p class="muted small" { "How they log in at " (component::listed(user.providers.iter().map(String::as_str))) " is not changed here." }
            }
            button class="button slim" { "Make the link" (whose) }
        },
    );
    let remove = form(
        "/users/remove",
        &viewer.token,
        &html! {
            (who)
            p { "Their sessions and passkeys here are gone with them." }
            button class="button slim danger" { "Remove the user" (whose) }
        },
    );
    html! {
        @if !user.is_reader { (lock) }
        (Act { summary: "Reset", danger: false, content: reset }.about(&whose))
        @if !user.is_reader { (Act { summary: "Remove", danger: true, content: remove }.about(&whose)) }
    }
}

fn enrolment(link: &Link) -> Markup {
    notice(
        Tone::Warn,
        &html! {
            p { strong { (unspaced(&link.email)) } " needs this link. It works once, until " (when(link.expires)) ", and is not shown again." }
            (component::copied("enrolment-link", "the enrolment link", &link.url))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::layout::tests::viewer;

    fn users(list: Vec<User>) -> Users {
        let link = Link {
            email: "<u>@x".into(),
            url: "https://tower.example/enrol#abc".into(),
            expires: time::macros::datetime!(2026-03-01 12:00 UTC),
        };
        let draft = Draft { email: "<new>".into(), enforced: vec!["passkey".into()], ..Draft::default() };
        Users {
            problem: None,
            done: None,
            warnings: vec!["the policy `<x>` does not exist yet".into()],
            link: Some(link),
            users: list,
            next: None,
            policies: vec!["reader".into()],
            draft: Some(draft),
            wrong: None,
        }
    }

    #[test]
    fn each_user_with_what_can_be_done() {
        let user = |email: &str, is_reader: bool| User {
            email: email.into(),
            name: Some("<script>".into()),
            policies: vec![],
            has: vec!["password"],
            providers: if is_reader { vec![] } else { vec!["<entra>".into()] },
            enforced: vec!["passkey"],
            locked: !is_reader,
            last_login: None,
            is_reader,
        };
        let text = users(vec![user("ann@example.com", true), user("bob@example.com", false)])
            .page(&viewer())
            .text()
            .to_owned();
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;") && text.contains("&lt;u&gt;@x"));
        assert!(text.contains("/users/unlock") && !text.contains("\"/users/lock\""));
        assert_eq!(text.matches("/users/remove").count(), 1, "nobody removes themselves");
        assert_eq!(text.matches("<form").count(), text.matches(r#"value="token-of-the-form""#).count());
        assert!(text.contains(r#"value="passkey" checked"#), "what was typed is not lost");
        assert!(text.contains("The policy <code>&lt;x&gt;</code> does not exist yet."), "{text}");
        assert!(text.contains("Logs in with password and the provider &lt;entra&gt;"), "{text}");
        assert_eq!(text.matches("They have none yet.").count(), 4);
    }

    #[test]
    fn who_has_nothing_has_nothing_to_lose_and_what_is_wrong_stands_at_its_field() {
        let email = "eve@example.com".to_owned();
        let nobody = User {
            email,
            name: None,
            policies: vec![],
            has: vec![],
            providers: vec!["entra".into()],
            enforced: vec![],
            locked: false,
            last_login: None,
            is_reader: false,
        };
        let wrong = Wrong { field: "name".into(), message: "there is a user `eve@example.com` already".into() };
        let text = Users { wrong: Some(wrong), ..users(vec![nobody]) }.page(&viewer()).text().to_owned();
        assert!(text.contains("They have nothing set up that could be lost.") && !text.contains("They have none yet."));
        assert!(
            text.contains("Logs in with the provider entra") && text.contains("at entra is not changed here"),
            "{text}"
        );
        assert!(text.contains(r#"id="field-email-error""#), "{text}");
    }

    #[test]
    fn nobody_yet() {
        assert!(users(vec![]).page(&viewer()).text().contains("There are no users."));
    }
}
