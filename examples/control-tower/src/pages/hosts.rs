//! The page of the hosts that called home.

mod host;
mod refused;
mod updates;

use maud::{Markup, html};
use time::OffsetDateTime;

pub use self::{host::Host, refused::Refused, updates::Updates};
use self::{
    host::Item,
    updates::{LATER, SOON},
};
use super::{
    component::{Field, Tone, empty, form, notice, section},
    layout::{HostPage, Page, Viewer},
    problem::{Problem, sentence},
};

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
    /// Some of those that had to make room, and come back by themselves.
    pub displaced: Vec<Host>,
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
                (Problem::shown_unless(self.site_draft.is_some(), self.problem.as_ref()))
                @if let Some(done) = self.done { (notice(Tone::Good, &html! { (done) })) }
                (self.updates.choice(&self.after))
            }
            div class="stack-l" {
                div class="stack-l" data-live=[self.updates.live(&self.after)] data-seconds=(SOON) data-news=(self.news()) {
                    (section("unclaimed", "Waiting to be claimed", &self.unclaimed(viewer)))
                    @if !self.away().is_empty() { (section("displaced", "Made room for others", &self.made_room(viewer))) }
                    @if let Some(all) = &self.all { (self.registered(all, viewer, now)) }
                    @if let Some(refused) = &self.refused { (section("refused", "Refused lately", &refused::show(refused))) }
                }
                @if self.rights.create_sites { (section("sites", "New site", &self.new_site(viewer))) }
            }
        };
        match self.updates.again(&self.after) {
            Some(address) => Page::of_hosts_again(viewer, HostPage::List, (&address, LATER), &main),
            None => Page::of_hosts(viewer, HostPage::List, &main),
        }
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
                @for host in &self.unclaimed { li { (self.item(host, viewer, None).show()) } }
                @for host in self.strays() {
                    @if !self.shows_all() { li { (host::stray(host)) } }
                    // What is done is done to all machines with its host-id, and offered once.
                    @else if self.strays().find(|one| one.id == host.id).is_some_and(|first| std::ptr::eq(first, host)) {
                        li { (self.item(host, viewer, None).show()) }
                    }
                }
            }
        }
    }

    /// The machines that made room, each once; without those that are shown as what they are by now: duplicates, or back with another
    /// certificate.
    fn away(&self) -> Vec<&Host> {
        let mut away: Vec<&Host> = Vec::new();
        for host in &self.displaced {
            let is_it = |one: &Host| (&one.id, &one.key) == (&host.id, &host.key);
            let mut here = self.unclaimed.iter().chain(self.all.iter().flatten());
            let is_back = here.any(|one| one.key.is_some() && is_it(one));
            if !is_back && !self.duplicates.iter().any(is_it) && !away.iter().any(|one| is_it(one)) {
                away.push(host);
            }
        }
        away
    }

    fn made_room(&self, viewer: &Viewer) -> Markup {
        // What is done is done to all machines with its host-id, and offered once.
        let away = self.away();
        let all = || self.unclaimed.iter().chain(self.all.iter().flatten()).chain(away.iter().copied());
        let is_first = |host: &Host| all().find(|one| one.id == host.id).is_some_and(|first| std::ptr::eq(first, host));
        html! {
            div class="stack" {
                p class="muted" { "There were more hosts than places to wait. These wait again as soon as they call next, while their certificates last." }
                ul class="items" {
                    @for host in away.iter().copied() {
                        li { @if is_first(host) { (self.item(host, viewer, None).show()) } @else { (host::beyond(host)) } }
                    }
                }
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

    /// Whether whoever is not on this page is not on record.
    fn shows_all(&self) -> bool {
        self.all.is_some() && self.after.is_empty() && self.next.is_none()
    }

    /// Duplicates of hosts that are not on this page.
    fn strays(&self) -> impl Iterator<Item = &Host> {
        let all = self.all.as_deref().unwrap_or_default();
        let is_shown = move |id: &str| self.unclaimed.iter().chain(all).chain(self.away()).any(|host| host.id == id);
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
                    ul class="items" { @for host in claimed { li { (self.item(host, viewer, Some(now)).show()) } } }
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
                        ul class="items" { @for host in removed { li { (self.item(host, viewer, Some(now)).show()) } } }
                    }
                }))
            }
        }
    }

    fn item<'a>(&'a self, host: &'a Host, viewer: &'a Viewer, now: Option<OffsetDateTime>) -> Item<'a> {
        let is_another = |one: &&Host| one.id == host.id && !std::ptr::eq(*one, host);
        let duplicates = self.duplicates.iter().filter(is_another).collect();
        let made_room = self.away().iter().any(|away| away.id == host.id && away.key != host.key);
        Item {
            host,
            duplicates,
            made_room,
            rights: self.rights,
            sites: self.sites.as_deref(),
            token: &viewer.token,
            now,
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
