//! The reader's own page: who they are, what proves it, where they are logged in.

use maud::{Markup, html};
use time::OffsetDateTime;

use super::{
    component::{self, Act, Field, Tone, badge, empty, form, notice, section, unspaced, when},
    enrol::password_hint,
    form::Wrong,
    layout::{self, Page, Place, Viewer},
    problem::Problem,
};

/// A passkey of the reader.
#[derive(Clone, Debug)]
pub struct Passkey {
    /// By which it is renamed and removed.
    pub id: String,
    /// What they call it.
    pub name: String,
    /// When it was made.
    pub created: OffsetDateTime,
    /// When they last logged in with it.
    pub last_used: Option<OffsetDateTime>,
    /// Whether it can be on several devices.
    pub synchronized: bool,
    /// Whether it is backed up.
    pub backed_up: bool,
}

/// A place where the reader is logged in.
#[derive(Clone, Debug)]
pub struct Session {
    /// By which it is ended.
    pub id: String,
    /// The browser and what it runs on, in words, where that is known.
    pub client: Option<String>,
    /// The address that it was begun from.
    pub address: Option<String>,
    /// What was proved, in words.
    pub method: String,
    /// When they logged in.
    pub begun: OffsetDateTime,
    /// When it was last used.
    pub seen: OffsetDateTime,
    /// Whether it is this very one.
    pub current: bool,
}

/// How many of them are seen at once.
const SESSIONS: usize = 10;

impl Session {
    fn title(&self) -> &str {
        self.client.as_deref().unwrap_or("A browser")
    }

    fn show(&self, viewer: &Viewer) -> Markup {
        html! {
            div class="grow" {
                p class="row" {
                    strong { (self.title()) }
                    @if self.current { (badge(Tone::Good, "This session")) }
                }
                p class="muted small" {
                    "With " (self.method)
                    @if let Some(address) = &self.address { ", from " (unspaced(address)) }
                }
                p class="muted small" { "Since " (when(self.begun)) ", last used " (when(self.seen)) }
            }
            @if !self.current {
                (form("/account/sessions/end", &viewer.token, &html! {
                    input type="hidden" name="id" value=(self.id);
                    button class="button slim second" {
                        "Log out" span class="visually-hidden" { " " (self.title()) ", since " (when(self.begun)) }
                    }
                }))
            }
        }
    }
}

/// What an administrator asks for at every login, so that its owner cannot take the last one away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keeps {
    /// The one-time password.
    pub totp: bool,
    /// The last passkey.
    pub passkey: bool,
}

/// The account page.
#[derive(Clone, Debug)]
pub struct Account {
    /// What did not work.
    pub problem: Option<Problem>,
    /// What of the password's form was not accepted.
    pub wrong: Option<Wrong>,
    /// What was done.
    pub done: Option<&'static str>,
    /// What an administrator asks for, in words; nothing is empty.
    pub enforced: String,
    /// What of it is not offered to be taken away.
    pub keeps: Keeps,
    /// Their policies.
    pub policies: Vec<String>,
    /// Whether they have a password.
    pub has_password: bool,
    /// The fewest characters of one.
    pub min_length: usize,
    /// Their passkeys.
    pub passkeys: Vec<Passkey>,
    /// The most that they can have.
    pub most_passkeys: usize,
    /// Whether they have a one-time password.
    pub has_totp: bool,
    /// How many recovery codes are left.
    pub recovery_codes: usize,
    /// Where they are logged in.
    pub sessions: Vec<Session>,
    /// What the browser's password manager is told, as JSON.
    pub signals: String,
}

impl Account {
    /// As a page.
    pub fn page(&self, viewer: &Viewer) -> Page {
        let main = html! {
            header class="stack" {
                h1 { "Account" }
                (Problem::shown_unless(self.wrong.is_some(), self.problem.as_ref()))
                @if let Some(done) = self.done { (notice(Tone::Good, &html! { (done) })) }
            }
            div class="stack-l" data-signals=(self.signals) {
                (section("you", "You", &self.you(viewer)))
                (section("passkeys", "Passkeys", &self.passkeys(viewer)))
                (section("password", "Password", &self.password(viewer)))
                (section("totp", "One-time password", &self.totp(viewer)))
                (section("sessions", "Where you are logged in", &self.sessions(viewer)))
            }
        };
        Page::within(viewer, Some(Place::Account), "Account", &main)
    }

    fn you(&self, viewer: &Viewer) -> Markup {
        html! {
            div class="stack" {
                dl class="facts" {
                    @if viewer.name != viewer.email { dt { "Name" } dd { (viewer.name) } }
                    dt { @if viewer.email.contains('@') { "Email" } @else { "User name" } } dd { (unspaced(&viewer.email)) }
                    dt { "Tenant" } dd { (viewer.tenant) }
                    dt { "Logged in with" } dd { (viewer.method) }
                    @if !self.enforced.is_empty() { dt { "Asked for at every login" } dd { (self.enforced) } }
                    dt { "Policies" }
                    dd {
                        @if self.policies.is_empty() { span class="muted" { "None: you may do nothing yet." } }
                        @else { (component::listed(self.policies.iter().map(String::as_str))) }
                    }
                }
                div class="field" {
                    p class="label" { "Login URL" }
                    (component::copied("login-url", "your login URL", &viewer.login_url))
                    p class="hint" { "Bookmark it: it fills in who you are. It logs nobody in by itself." }
                }
                (layout::remember("account", viewer))
            }
        }
    }

    fn passkeys(&self, viewer: &Viewer) -> Markup {
        let add = form(
            "/account/set-up",
            &viewer.token,
            &html! {
                input type="hidden" name="method" value="passkey";
                button class="button" { "Add a passkey" }
            },
        );
        html! {
            div class="stack" {
                @if self.passkeys.is_empty() {
                    (empty("You have no passkey yet.", &html! {
                        p class="small" { "With one you log in by your finger, your face or your device's PIN." }
                        (add)
                    }))
                } @else {
                    ul class="items" {
                        @for passkey in &self.passkeys { li { (self.passkey(passkey, viewer)) } }
                    }
                    @if self.passkeys.len() < self.most_passkeys { (add) } @else {
                        p class="muted small" { "You have as many passkeys as there can be. Remove one to add another." }
                    }
                }
            }
        }
    }

    fn passkey(&self, passkey: &Passkey, viewer: &Viewer) -> Markup {
        let rename = form(
            "/account/passkeys/rename",
            &viewer.token,
            &html! {
                input type="hidden" name="id" value=(passkey.id);
                // Ids are unique in a page, and there are several such fields.
                div class="field" {
                    label for=(format!("name-{}", passkey.id)) { "Name" }
                    input type="text" id=(format!("name-{}", passkey.id)) name="name" value=(passkey.name) maxlength="64" required
                        autocomplete="off";
                }
                button class="button slim" { "Save" }
            },
        );
        let remove = form(
            "/account/passkeys/remove",
            &viewer.token,
            &html! {
                input type="hidden" name="id" value=(passkey.id);
                p { "You can no longer log in with it, and your other sessions end." }
                button class="button slim danger" { "Remove it" span class="visually-hidden" { ": " (passkey.name) } }
            },
        );
        let which = html! { span class="visually-hidden" { " " bdi { (passkey.name) } } };
        html! {
            div class="grow" {
                p class="row" {
                    strong { bdi { (passkey.name) } }
                    @if passkey.backed_up { (badge(Tone::Good, "Backed up")) }
                    @else if passkey.synchronized { (badge(Tone::Warn, "Not backed up")) }
                    @else { (badge(Tone::Plain, "On one device")) }
                }
                p class="muted small" {
                    "Made " (when(passkey.created)) ", "
                    @match passkey.last_used { Some(moment) => { "last used " (when(moment)) } None => "never used" }
                }
            }
            (Act { summary: "Rename", danger: false, content: rename }.about(&which))
            @if self.passkeys.len() > 1 || !self.keeps.passkey {
                (Act { summary: "Remove", danger: true, content: remove }.about(&which))
            }
        }
    }

    fn password(&self, viewer: &Viewer) -> Markup {
        let hint = password_hint(self.min_length);
        let error = |field: &str| Wrong::of(self.wrong.as_ref(), field);
        let (current, new, repeated) = (error("current"), error("password"), error("repeated"));
        let fields = form(
            "/account/password",
            &viewer.token,
            &html! {
                input type="text" name="username" value=(viewer.email) autocomplete="username" hidden;
                @if self.has_password {
                    (Field { error: current.as_deref(), ..Field::password("current", "Present password", "current-password") }.show())
                }
                (Field { hint: Some(&hint), error: new.as_deref(), ..Field::password("password", "New password", "new-password") }.show())
                (Field { error: repeated.as_deref(), ..Field::password("repeated", "The same again", "new-password") }.show())
                p class="muted small" { "Your other sessions end." }
                button class="button" { @if self.has_password { "Change the password" } @else { "Set the password" } }
            },
        );
        html! {
            div class="stack" {
                @if !self.has_password { p { "You have no password." } }
                (fields)
            }
        }
    }

    fn totp(&self, viewer: &Viewer) -> Markup {
        let set_up = |label| {
            form(
                "/account/set-up",
                &viewer.token,
                &html! {
                    input type="hidden" name="method" value="totp";
                    button class=(if self.has_totp { "button slim second" } else { "button" }) { (label) }
                },
            )
        };
        let codes = form(
            "/account/recovery-codes",
            &viewer.token,
            &html! {
                p { "You get ten new ones. Those that you have no longer work." }
                button class="button slim" { "Make new recovery codes" }
            },
        );
        let remove = form(
            "/account/totp/remove",
            &viewer.token,
            &html! {
                p { "Your recovery codes go with it, and your other sessions end." }
                button class="button slim danger" { "Remove the one-time password" }
            },
        );
        html! {
            @if self.has_totp {
                div class="stack" {
                    p { "Set up. " (left(self.recovery_codes)) }
                    @if self.recovery_codes < 3 {
                        (notice(Tone::Warn, &html! { "Make new recovery codes before you run out of them." }))
                    }
                    div class="row" {
                        (set_up("Set it up on another telephone"))
                        (Act { summary: "New recovery codes", danger: false, content: codes }.show())
                        @if !self.keeps.totp { (Act { summary: "Remove", danger: true, content: remove }.show()) }
                    }
                }
            } @else {
                (empty("You have no one-time password.", &html! {
                    p class="small" { "Six digits from your telephone, beside your password. A passkey does the same with less effort." }
                    (set_up("Set up a one-time password"))
                }))
            }
        }
    }

    fn sessions(&self, viewer: &Viewer) -> Markup {
        let (first, rest) = self.sessions.split_at(self.sessions.len().min(SESSIONS));
        html! {
            div class="stack" {
                ul class="items" { @for session in first { li { (session.show(viewer)) } } }
                @if !rest.is_empty() {
                    details class="more" {
                        summary { "Show " (rest.len()) " more" }
                        ul class="items" { @for session in rest { li { (session.show(viewer)) } } }
                    }
                }
                @if self.sessions.len() > 1 {
                    (form("/account/sessions/end-others", &viewer.token, &html! {
                        button class="button second" { "Log out everywhere else" }
                    }))
                }
            }
        }
    }
}

fn left(codes: usize) -> String {
    match codes {
        0 => "No recovery code is left.".to_owned(),
        1 => "One recovery code is left.".to_owned(),
        codes => format!("{codes} recovery codes are left."),
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::pages::layout::tests::viewer;

    fn account() -> Account {
        let moment = datetime!(2026-03-01 12:00 UTC);
        let passkey = Passkey {
            id: "AQID".into(),
            name: "<i>Laptop</i>".into(),
            created: moment,
            last_used: None,
            synchronized: true,
            backed_up: false,
        };
        let session = |current: bool| Session {
            id: format!("session-{current}"),
            client: (!current).then(|| "Firefox on <Linux>".to_owned()),
            address: (!current).then(|| "2001:db8::1".to_owned()),
            method: "a passkey".into(),
            begun: moment,
            seen: moment,
            current,
        };
        Account {
            problem: None,
            wrong: None,
            done: Some("The passkey was removed."),
            enforced: "passkey".into(),
            keeps: Keeps::default(),
            policies: vec!["reader".into()],
            has_password: true,
            min_length: 8,
            passkeys: vec![passkey],
            most_passkeys: 8,
            has_totp: true,
            recovery_codes: 2,
            sessions: vec![session(true), session(false)],
            signals: r#"[{"method":"signalAllAcceptedCredentials","rpId":"x"}]"#.into(),
        }
    }

    #[test]
    fn passkeys_with_what_can_be_done_to_them() {
        let text = account().page(&viewer()).text().to_owned();
        for part in [
            "&lt;i&gt;Laptop&lt;/i&gt;",
            "Not backed up",
            "never used",
            r#"name="id" value="AQID""#,
            "2 recovery codes",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("data-signals=\"[{&quot;method&quot;:&quot;signalAllAcceptedCredentials"), "{text}");
        // The own session is ended by logging out.
        assert!(text.contains("session-false") && !text.contains("session-true"));
        assert_eq!(text.matches("This session").count(), 1);
        assert!(
            text.contains("Firefox on &lt;Linux&gt;") && text.contains("With a passkey, from 2001:db8::1"),
            "{text}"
        );
        assert!(text.contains("A browser") && text.contains("With a passkey</p>"), "of an earlier release: {text}");
        assert_eq!(text.matches("<form").count(), text.matches(r#"value="token-of-the-form""#).count());
    }

    #[test]
    fn what_is_enforced_is_not_offered_to_be_taken_away() {
        let (passkey, totp) = ("/account/passkeys/remove", "/account/totp/remove");
        let text = account().page(&viewer()).text().to_owned();
        assert!(text.contains(passkey) && text.contains(totp));
        let mut account = Account { keeps: Keeps { totp: true, passkey: true }, ..account() };
        let text = account.page(&viewer()).text().to_owned();
        assert!(!text.contains(passkey) && !text.contains(totp), "{text}");
        account.passkeys.push(account.passkeys[0].clone());
        assert!(account.page(&viewer()).text().contains(passkey), "there is another one");
    }

    #[test]
    fn nothing_yet() {
        let account = Account { passkeys: vec![], has_totp: false, has_password: false, done: None, ..account() };
        let text = account.page(&viewer()).text().to_owned();
        for part in ["You have no passkey yet.", "You have no one-time password.", "You have no password."] {
            assert!(text.contains(part), "{part}");
        }
        assert!(!text.contains(r#"name="current""#));
    }

    #[test]
    fn many_sessions_end_at_once_and_not_all_are_seen() {
        let mut account = account();
        assert!(account.page(&viewer()).text().contains("/account/sessions/end-others"));
        account.sessions = vec![account.sessions[1].clone(); 50];
        let text = account.page(&viewer()).text().to_owned();
        assert!(text.contains("<summary>Show 40 more</summary>"), "{text}");
        assert_eq!(text.matches("Firefox on &lt;Linux&gt;</strong>").count(), 50);
        account.sessions.truncate(1);
        assert!(!account.page(&viewer()).text().contains("/account/sessions/end-others"), "there is no other one");
    }

    #[test]
    fn no_id_is_there_twice() {
        let text = account().page(&viewer()).text().to_owned();
        let mut ids: Vec<&str> = text.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }
}
