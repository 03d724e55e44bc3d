//! The page of the hosts that called home.

use maud::{Markup, html};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{
    component::{Act, Column, Field, Select, Tone, badge, empty, form, notice, prose, section, table, when},
    layout::{HostPage, Page, Viewer},
    problem::{Problem, sentence},
};

/// How often the script looks for news, in seconds.
const SOON: u32 = 5;
/// How often a page without script does.
const LATER: u32 = 30;
/// How often it does before somebody has to say that they are still there: half an hour, so that a page that nobody looks at
/// keeps no session alive for good.
const MOST_TURNS: u32 = 60;

/// A host as the interface shows it. Fields are absent that are hidden from the reader.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Host {
    /// The hash of its host-id.
    pub id: String,
    /// `unclaimed`, `claimed`, `removed` or `duplicate`.
    pub state: String,
    /// Its site.
    pub site: Option<String>,
    /// What it calls itself.
    pub host_name: Option<String>,
    /// The version of its agent.
    pub agent_version: Option<String>,
    /// From where it called last.
    pub address: Option<String>,
    /// The thumbprint of its key.
    pub key: Option<String>,
    /// The serial number of its call-home certificate.
    pub certificate: Option<String>,
    /// The only site that it can be claimed for.
    pub bound_site: Option<String>,
    /// Its ID.
    pub spiffe_id: Option<String>,
    /// The end of its SVID.
    #[serde(with = "time::serde::rfc3339::option")]
    pub expires: Option<OffsetDateTime>,
    /// When it called first.
    #[serde(with = "time::serde::rfc3339::option")]
    pub first_seen: Option<OffsetDateTime>,
    /// When it called last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_seen: Option<OffsetDateTime>,
}

/// Calls home that were refused for the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The last one.
    pub time: OffsetDateTime,
    /// The hash of the host-id; empty where it is not known.
    pub host: String,
    /// From where.
    pub source: String,
    /// The reason, in words.
    pub why: String,
    /// How many there were.
    pub times: usize,
}

/// Whether the page looks for news by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updates {
    /// It has done so that often without script.
    On(u32),
    /// Not.
    Off,
}

/// What may be done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rights {
    /// Claiming.
    pub claim: bool,
    /// Releasing.
    pub release: bool,
    /// Removing.
    pub remove: bool,
    /// Making sites.
    pub create_sites: bool,
}

/// The page.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// What did not work.
    pub problem: Option<Problem>,
    /// What was done.
    pub done: Option<&'static str>,
    /// Whether it looks for news.
    pub updates: Updates,
    /// Those that wait, the latest first.
    pub unclaimed: Vec<Host>,
    /// Those that have the host-id of another one.
    pub duplicates: Vec<Host>,
    /// All that are on record, a page of them; `None` where the reader may not see them.
    pub all: Option<Vec<Host>>,
    /// Behind which one this page begins, empty at the first.
    pub after: String,
    /// Where the next page is.
    pub next: Option<String>,
    /// The names of the sites; `None` where the reader may not see them.
    pub sites: Option<Vec<String>>,
    /// What was typed as the name of a site and not accepted, and why.
    pub site_draft: Option<(String, String)>,
    /// What was refused lately, the latest first; `None` where the reader may not see it.
    pub refused: Option<Vec<Refused>>,
    /// What may be done.
    pub rights: Rights,
    /// Whether hosts can call home at all.
    pub listens: bool,
}

impl Hosts {
    /// As a page.
    pub fn page(&self, viewer: &Viewer, now: OffsetDateTime) -> Page {
        let main = html! {
            header class="stack" {
                div class="row between" {
                    h1 { "Hosts" }
                    @if viewer.hosts.contains(&HostPage::Install) {
                        a class="button" href=(HostPage::Install.path()) { "Install agent" }
                    }
                }
                (Problem::shown(self.problem.as_ref()))
                @if let Some(done) = self.done { (notice(Tone::Good, &html! { (done) })) }
                (self.updating())
            }
            div class="stack-l" {
                div class="stack-l" data-live=[self.live()] data-seconds=(SOON) data-news=(self.news()) {
                    (section("unclaimed", "Waiting to be claimed", &self.unclaimed(viewer)))
                    @if let Some(all) = &self.all { (self.registered(all, viewer, now)) }
                    @if let Some(refused) = &self.refused { (section("refused", "Refused lately", &show_refused(refused))) }
                }
                @if self.rights.create_sites { (section("sites", "New site", &self.new_site(viewer))) }
            }
        };
        match self.updates {
            Updates::On(turns) if turns < MOST_TURNS => {
                Page::of_hosts_again(viewer, HostPage::List, (&self.address(turns + 1), LATER), &main)
            }
            _ => Page::of_hosts(viewer, HostPage::List, &main),
        }
    }

    /// This page, as it looks for news.
    fn address(&self, turns: u32) -> String {
        match self.after.as_str() {
            "" => format!("{}?updates={turns}", HostPage::List.path()),
            after => format!("{}?after={after}&updates={turns}", HostPage::List.path()),
        }
    }

    fn live(&self) -> Option<String> {
        matches!(self.updates, Updates::On(turns) if turns < MOST_TURNS).then(|| self.address(0))
    }

    fn updating(&self) -> Markup {
        let (words, action, address) = match self.updates {
            Updates::On(turns) if turns < MOST_TURNS => {
                let off = match self.after.as_str() {
                    "" => format!("{}?updates=off", HostPage::List.path()),
                    after => format!("{}?after={after}&updates=off", HostPage::List.path()),
                };
                ("This page shows news by itself.", "Hold it", off)
            }
            Updates::On(_) => ("This page has stopped showing news by itself.", "Go on", self.address(0)),
            Updates::Off => ("This page is held as it is.", "Go on", self.address(0)),
        };
        html! { p class="muted small" { span data-updating="" { (words) } " " a href=(address) { (action) } } }
    }

    /// What a reader is told when it changes.
    fn news(&self) -> String {
        let waiting = match self.unclaimed.len() {
            0 => "No host waits to be claimed".to_owned(),
            1 => "1 host waits to be claimed".to_owned(),
            more => format!("{more} hosts wait to be claimed"),
        };
        match self.duplicates.len() {
            0 => format!("{waiting}."),
            1 => format!("{waiting}, and there is 1 duplicate."),
            more => format!("{waiting}, and there are {more} duplicates."),
        }
    }

    fn unclaimed(&self, viewer: &Viewer) -> Markup {
        if self.unclaimed.is_empty() && self.strays().next().is_none() {
            return empty("No host waits.", &self.what_next(viewer));
        }
        html! {
            ul class="items" {
                @for host in &self.unclaimed { li { (self.one(host, viewer, None)) } }
                @for host in self.strays() { li { (duplicate(host)) } }
            }
        }
    }

    /// What makes a host wait here.
    fn what_next(&self, viewer: &Viewer) -> Markup {
        html! {
            @if !self.listens {
                p class="small" { "Hosts cannot call home to this tower yet: start it with " code { "--call-home-listen" } "." }
            } @else if viewer.hosts.contains(&HostPage::Install) {
                p class="small" { "A host that runs the install script calls home, and waits here." }
                p { a class="button second" href=(HostPage::Install.path()) { "Install an agent" } }
            } @else {
                p class="small" { "A host that runs the install script calls home, and waits here. Whoever may issue call-home certificates has the script." }
            }
        }
    }

    /// Duplicates of hosts that are not on this page.
    fn strays(&self) -> impl Iterator<Item = &Host> {
        let all = self.all.as_deref().unwrap_or_default();
        let is_shown = move |id: &str| self.unclaimed.iter().chain(all).any(|host| host.id == id);
        self.duplicates.iter().filter(move |duplicate| !is_shown(&duplicate.id))
    }

    fn registered(&self, all: &[Host], viewer: &Viewer, now: OffsetDateTime) -> Markup {
        let of = |state: &'static str| all.iter().filter(move |host| host.state == state);
        let (mut claimed, mut removed) = (of("claimed").peekable(), of("removed").peekable());
        let pages = html! {
            @if !self.after.is_empty() || self.next.is_some() {
                p class="row" {
                    @if !self.after.is_empty() { a href=(HostPage::List.path()) { "First hosts" } }
                    @if let Some(next) = &self.next { a href=(next) { "More hosts" } }
                }
            }
        };
        let content = html! {
            div class="stack" {
                @if claimed.peek().is_none() {
                    (empty("No host is claimed.", &html! {
                        p class="small" {
                            @if self.unclaimed.is_empty() { "Hosts that are claimed for a site are here, with their identities." }
                            @else { "Claim the first one above: it gets its identity when it asks next." }
                        }
                    }))
                } @else {
                    ul class="items" { @for host in claimed { li { (self.one(host, viewer, Some(now))) } } }
                }
                (pages)
            }
        };
        html! {
            (section("claimed", "Claimed", &content))
            @if removed.peek().is_some() {
                (section("removed", "Removed", &html! {
                    div class="stack" {
                        p class="muted" { "These hosts may not call home, and what is left of their identities counts for nothing." }
                        ul class="items" { @for host in removed { li { (self.one(host, viewer, Some(now))) } } }
                    }
                }))
            }
        }
    }

    fn one(&self, host: &Host, viewer: &Viewer, now: Option<OffsetDateTime>) -> Markup {
        let duplicates: Vec<&Host> = self.duplicates.iter().filter(|duplicate| duplicate.id == host.id).collect();
        html! {
            div class="grow stack-s" {
                p class="row" {
                    strong { (name(host)) }
                    @match (host.state.as_str(), &host.site) {
                        ("claimed", Some(site)) => (badge(Tone::Good, &format!("Site {site}"))),
                        ("claimed", None) => (badge(Tone::Good, "Claimed")),
                        ("removed", _) => (badge(Tone::Danger, "Removed")),
                        _ => (badge(Tone::Info, "Unclaimed")),
                    }
                    @if !duplicates.is_empty() { (badge(Tone::Warn, "Duplicate")) }
                    @if let Some(site) = host.bound_site.as_ref().filter(|_| host.state == "unclaimed") {
                        (badge(Tone::Plain, &format!("For site {site}")))
                    }
                }
                @if host.state == "claimed" { (identity(host, now)) }
                (seen(host))
                (details(host))
                @if !duplicates.is_empty() { (beside(&duplicates)) }
                @if host.state == "unclaimed" && self.rights.claim { (self.claim(host, viewer)) }
            }
            (self.actions(host, viewer, !duplicates.is_empty()))
        }
    }

    fn claim(&self, host: &Host, viewer: &Viewer) -> Markup {
        let id = format!("site-{}", host.id);
        let sites: Vec<(String, String)> = match (&host.bound_site, &self.sites) {
            (Some(bound), _) => vec![(bound.clone(), bound.clone())],
            (None, Some(sites)) => sites.iter().map(|site| (site.clone(), site.clone())).collect(),
            (None, None) => Vec::new(),
        };
        let whose = html! { span class="visually-hidden" { " " (name(host)) } };
        let content = html! {
            (host_field(host))
            // The machine that is looked at, and no other one that has its host-id by then.
            @if let Some(key) = &host.key { input type="hidden" name="key" value=(key); }
            @if sites.is_empty() && self.sites.is_some() {
                p { "There is no site to claim it for. " @if self.rights.create_sites { a href="#sites" { "Make the first one" } "." } }
            } @else {
                div class="claim" {
                    @if self.sites.is_none() && host.bound_site.is_none() {
                        (Field::text("site", "Site").show_as(&id))
                    } @else {
                        (Select { id: &id, name: "site", label: "Site", options: &sites, value: "", hint: None, error: None }.show())
                    }
                    button class="button" id=(format!("claim-{}", host.id)) { "Claim" (whose) }
                }
            }
        };
        form("/hosts/claim", &viewer.token, &content)
    }

    fn actions(&self, host: &Host, viewer: &Viewer, has_duplicates: bool) -> Markup {
        let whose = html! { span class="visually-hidden" { " " (name(host)) } };
        let release = form(
            "/hosts/release",
            &viewer.token,
            &html! {
                (host_field(host))
                p {
                    "It is forgotten, and may call home again. "
                    @if host.state == "claimed" { "Its identity counts for nothing from then on. " }
                    @if has_duplicates { "The first machine to call then is let in, this one or the other." }
                }
                button class="button slim" { "Release it" (whose) }
            },
        );
        let remove = form(
            "/hosts/remove",
            &viewer.token,
            &html! {
                (host_field(host))
                p {
                    @if host.state == "claimed" { "Its identity counts for nothing from then on, and it" } @else { "It" }
                    " may not call home until it is released."
                }
                button class="button slim danger" { "Remove it" (whose) }
            },
        );
        let is_known = matches!(host.state.as_str(), "claimed" | "removed") || has_duplicates;
        html! {
            @if self.rights.release && is_known { (Act { summary: "Release", danger: false, content: release }.named(&format!("release-{}", host.id), &whose)) }
            @if self.rights.remove && host.state != "removed" { (Act { summary: "Remove", danger: true, content: remove }.named(&format!("remove-{}", host.id), &whose)) }
        }
    }

    fn new_site(&self, viewer: &Viewer) -> Markup {
        let (value, error) = self.site_draft.as_ref().map_or(("", None), |(name, why)| (name, Some(sentence(why))));
        let known = self.sites.as_deref().unwrap_or_default();
        let hint = match known {
            [] => "Where hosts are, such as a shop or a plant.".to_owned(),
            known => format!(
                "There {} {}. Labels, variables and the hosts that a site expects are set in its document.",
                if known.len() == 1 { "is" } else { "are" },
                some(known)
            ),
        };
        let content = html! {
            (Field { value, error: error.as_deref(), hint: Some(&hint), ..Field::text("name", "Name") }.show())
            button class="button second" { "Make the site" }
        };
        form("/hosts/site", &viewer.token, &content)
    }
}

/// A few of them.
fn some(names: &[String]) -> String {
    const FEW: usize = 8;
    match names.len() {
        0..=FEW => super::component::listed(names.iter().map(String::as_str)),
        many => {
            let first: Vec<&str> = names.iter().take(FEW).map(String::as_str).collect();
            format!("{} and {} more", first.join(", "), many - FEW)
        }
    }
}

/// What people know it by.
fn name(host: &Host) -> String {
    match &host.host_name {
        Some(name) => name.clone(),
        None => format!("Host {}", short(&host.id)),
    }
}

/// The beginning of a hash.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn host_field(host: &Host) -> Markup {
    html! { input type="hidden" name="host" value=(host.id); }
}

fn seen(host: &Host) -> Markup {
    html! {
        p class="muted small" {
            @if let Some(address) = &host.address { "From " (address) }
            @if let Some(first) = host.first_seen { ", first " (when(first)) }
            @if let Some(last) = host.last_seen { ", last " (when(last)) }
        }
    }
}

fn identity(host: &Host, now: Option<OffsetDateTime>) -> Markup {
    html! {
        @match (&host.spiffe_id, host.expires) {
            (Some(id), expires) => {
                p { code { (id) } }
                @if let Some(expires) = expires {
                    p class="small" {
                        @if now.is_some_and(|now| now >= expires) { (badge(Tone::Warn, "Expired")) " since " (when(expires)) ": the host has not renewed it." }
                        @else { "Identity until " (when(expires)) }
                    }
                }
            }
            (None, _) => p class="small" { "It gets its identity when it asks next." }
        }
    }
}

fn details(host: &Host) -> Markup {
    html! {
        details class="more small" id=(format!("about-{}", host.id)) {
            summary { "Details" span class="visually-hidden" { " of " (name(host)) } }
            dl class="facts" {
                dt { "Host-id (SHA-256)" } dd { code { (host.id) } }
                @if let Some(key) = &host.key { dt { "Key (thumbprint)" } dd { code { (key) } } }
                @if let Some(serial) = &host.certificate { dt { "Call-home certificate" } dd { code { (serial) } } }
                @if let Some(version) = &host.agent_version { dt { "Agent" } dd { (version) } }
            }
        }
    }
}

/// The machines that call with the host-id of another one, below it.
fn beside(duplicates: &[&Host]) -> Markup {
    html! {
        div class="aside stack-s" {
            p { "Another machine calls with the same host-id, and is not let in:" }
            ul class="stack-s" { @for duplicate in duplicates { li { (machine(duplicate)) } } }
        }
    }
}

fn machine(duplicate: &Host) -> Markup {
    html! {
        p { strong { (name(duplicate)) } }
        (seen(duplicate))
        @if let Some(key) = &duplicate.key { p class="muted small" { "Key " code { (key) } } }
    }
}

/// A duplicate of a host that is not shown.
fn duplicate(host: &Host) -> Markup {
    html! {
        div class="grow stack-s" {
            p class="row" { strong { (name(host)) } (badge(Tone::Warn, "Duplicate")) }
            p class="small" { "It calls with the host-id of a host that is not on this page, and is not let in." }
            (seen(host))
            @if let Some(key) = &host.key { p class="muted small" { "Key " code { (key) } } }
        }
    }
}

fn show_refused(refused: &[Refused]) -> Markup {
    if refused.is_empty() {
        return empty("No call home was refused.", &html! {});
    }
    let columns = [Column::new("Why"), Column::new("From"), Column::new("Host-id (SHA-256)"), Column::new("When")];
    let rows: Vec<Vec<Markup>> = refused
        .iter()
        .map(|one| {
            vec![
                html! { (prose(&sentence(&one.why))) },
                html! { (one.source) },
                html! {
                    @if one.host.is_empty() { span class="muted" { "not known" } }
                    @else { code title=(one.host) { (short(&one.host)) "…" } }
                },
                html! { (when(one.time)) @if one.times > 1 { ", " span class="nowrap" { (one.times) " times" } } },
            ]
        })
        .collect();
    table("Refused lately", &columns, &rows)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::pages::layout::tests::viewer;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    fn host(id: &str, state: &str) -> Host {
        Host {
            id: id.repeat(64),
            state: state.to_owned(),
            host_name: Some("<script>alert(1)</script>".to_owned()),
            first_seen: Some(NOW),
            last_seen: Some(NOW),
            ..Host::default()
        }
    }

    fn hosts() -> Hosts {
        Hosts {
            problem: None,
            done: None,
            updates: Updates::On(0),
            unclaimed: vec![],
            duplicates: vec![],
            all: Some(vec![]),
            after: String::new(),
            next: None,
            sites: Some(vec!["oslo".to_owned()]),
            site_draft: None,
            refused: Some(vec![]),
            rights: Rights { claim: true, release: true, remove: true, create_sites: true },
            listens: true,
        }
    }

    fn reader() -> Viewer {
        Viewer { hosts: HostPage::ALL.to_vec(), ..viewer() }
    }

    #[test]
    fn each_state_says_what_can_be_done_and_duplicates_are_beside_the_first() {
        let claimed = Host {
            site: Some("oslo".to_owned()),
            spiffe_id: Some("spiffe://tower.example/site/oslo/host/b".to_owned()),
            expires: Some(NOW - time::Duration::MINUTE),
            ..host("b", "claimed")
        };
        let page = Hosts {
            unclaimed: vec![host("a", "unclaimed")],
            duplicates: vec![host("b", "duplicate"), host("d", "duplicate")],
            all: Some(vec![host("a", "unclaimed"), claimed, host("c", "removed")]),
            ..hosts()
        };
        let text = page.page(&reader(), NOW).text().to_owned();
        assert!(!text.contains("<script>alert"), "{text}");
        assert_eq!(text.matches("<form").count(), text.matches(r#"value="token-of-the-form""#).count());
        // Claimed and removed ones are released; unclaimed and claimed ones removed.
        for (action, count) in [("/hosts/claim", 1), ("/hosts/release", 2), ("/hosts/remove", 2)] {
            assert_eq!(text.matches(&format!("action=\"{action}\"")).count(), count, "{action}");
        }
        assert_eq!(text.matches("calls with the same host-id").count(), 1);
        assert_eq!(text.matches("not on this page").count(), 1);
        assert!(text.contains("Expired") && text.contains("spiffe://tower.example/site/oslo/host/b"));
        assert!(text.contains("1 host waits to be claimed, and there are 2 duplicates."));
        let ids: Vec<&str> = text.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
        assert_eq!(ids.len(), unique.len(), "{ids:?}");
    }

    #[test]
    fn whoever_may_only_look_is_offered_nothing() {
        let page = Hosts {
            unclaimed: vec![host("a", "unclaimed")],
            all: Some(vec![host("b", "claimed")]),
            rights: Rights::default(),
            ..hosts()
        };
        let text = page.page(&reader(), NOW).text().to_owned();
        assert!(!text.contains("action=\"/hosts/"), "{text}");
    }

    #[test]
    fn a_host_that_is_bound_is_offered_its_site_alone() {
        let bound = Host { bound_site: Some("bergen".to_owned()), ..host("a", "unclaimed") };
        let text = Hosts { unclaimed: vec![bound], ..hosts() }.page(&reader(), NOW).text().to_owned();
        assert!(text.contains(r#"<option value="bergen">"#) && !text.contains(r#"<option value="oslo">"#), "{text}");
    }

    #[test]
    fn it_looks_for_news_for_half_an_hour_and_can_be_held() {
        let text = |updates| Hosts { updates, ..hosts() }.page(&reader(), NOW).text().to_owned();
        let on = text(Updates::On(3));
        assert!(
            on.contains(r#"<noscript><meta http-equiv="refresh" content="30; url=/hosts?updates=4"></noscript>"#),
            "{on}"
        );
        assert!(on.contains(r#"data-live="/hosts?updates=0""#));
        for updates in [Updates::Off, Updates::On(MOST_TURNS)] {
            let held = text(updates);
            assert!(!held.contains("http-equiv") && !held.contains("data-live") && held.contains("Go on"), "{held}");
        }
    }

    #[test]
    fn nothing_yet_says_what_to_do_next() {
        assert!(hosts().page(&reader(), NOW).text().contains("Install an agent"));
        let deaf = Hosts { listens: false, ..hosts() };
        assert!(deaf.page(&reader(), NOW).text().contains("--call-home-listen"));
        let waiting = Hosts { unclaimed: vec![host("a", "unclaimed")], sites: Some(vec![]), ..hosts() };
        assert!(waiting.page(&reader(), NOW).text().contains("There is no site to claim it for."));
    }
}
