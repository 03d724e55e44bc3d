//! A host in a list: what is known of it, the machines that call with its host-id, and what can be done.

use maud::{Markup, html};
use serde::Deserialize;
use time::OffsetDateTime;

use super::Rights;
use crate::pages::component::{Act, Field, Select, Tone, badge, form, unspaced, when};

/// A host as the interface shows it. Fields are absent that are hidden from the reader.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Host {
    /// The hash of its host-id.
    pub id: String,
    /// `unclaimed`, `claimed`, `removed`, `duplicate` or `displaced`.
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

/// A host with what is beside it, as a reader sees it.
pub(super) struct Item<'a> {
    /// The host.
    pub(super) host: &'a Host,
    /// The machines that call with its host-id.
    pub(super) duplicates: Vec<&'a Host>,
    /// Whether a machine with its host-id made room, and is shown as such.
    pub(super) made_room: bool,
    /// What may be done.
    pub(super) rights: Rights,
    /// The names of the sites; `None` where the reader may not see them.
    pub(super) sites: Option<&'a [String]>,
    /// What forms carry.
    pub(super) token: &'a str,
    /// By which identities have ended; `None` where there are none.
    pub(super) now: Option<OffsetDateTime>,
}

impl Item<'_> {
    /// As the item of a list.
    pub(super) fn show(&self) -> Markup {
        let Self { host, duplicates, .. } = self;
        html! {
            div class="grow stack-s" {
                p class="row" {
                    strong { (unspaced(&name(host))) }
                    @match (host.state.as_str(), &host.site) {
                        ("claimed", Some(site)) => (badge(Tone::Good, &format!("Site {site}"))),
                        ("claimed", None) => (badge(Tone::Good, "Claimed")),
                        ("removed", _) => (badge(Tone::Danger, "Removed")),
                        ("displaced", _) => (badge(Tone::Warn, "Made room")),
                        ("duplicate", _) => (duplicate()),
                        _ => (badge(Tone::Info, "Unclaimed")),
                    }
                    @if host.state != "duplicate" && (!duplicates.is_empty() || self.made_room) { (duplicate()) }
                    @if let Some(site) = host.bound_site.as_ref().filter(|_| host.state == "unclaimed") {
                        (badge(Tone::Plain, &format!("For site {site}")))
                    }
                }
                @if host.state == "claimed" { (identity(host, self.now)) }
                @if host.state == "duplicate" { p class="small" { "It called with the host-id of a host that is gone by now, and was not let in." } }
                (seen(host))
                (details(host))
                @if !duplicates.is_empty() { (beside(duplicates)) }
                @if self.made_room { p class="small" { "A machine that made room for others has the same host-id." } }
                @if host.state == "unclaimed" && self.rights.claim { (self.claim()) }
            }
            (self.actions())
        }
    }

    fn claim(&self) -> Markup {
        let host = self.host;
        let id = format!("site-{}", host.id);
        let sites: Vec<(String, String)> = match (&host.bound_site, self.sites) {
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
        form("/hosts/claim", self.token, &content)
    }

    fn actions(&self) -> Markup {
        let (host, has_duplicates) = (self.host, !self.duplicates.is_empty());
        let whose = html! { span class="visually-hidden" { " " (name(host)) } };
        let release = form(
            "/hosts/release",
            self.token,
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
            self.token,
            &html! {
                (host_field(host))
                p {
                    @if host.state == "claimed" { "Its identity counts for nothing from then on, and it" } @else { "It" }
                    " may not call home until it is released."
                }
                button class="button slim danger" { "Remove it" (whose) }
            },
        );
        let is_known =
            matches!(host.state.as_str(), "claimed" | "removed" | "displaced" | "duplicate") || has_duplicates;
        html! {
            @if self.rights.release && is_known { (Act { summary: "Release", danger: false, content: release }.named(&format!("release-{}", host.id), &whose)) }
            @if self.rights.remove && host.state != "removed" { (Act { summary: "Remove", danger: true, content: remove }.named(&format!("remove-{}", host.id), &whose)) }
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
pub(super) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn host_field(host: &Host) -> Markup {
    html! { input type="hidden" name="host" value=(host.id); }
}

fn seen(host: &Host) -> Markup {
    html! {
        p class="muted small" {
            @if let Some(address) = &host.address { "From " (unspaced(address)) }
            @if let Some(first) = host.first_seen { ", first " (when(first)) }
            @if let Some(last) = host.last_seen { ", last " (when(last)) }
        }
    }
}

fn identity(host: &Host, now: Option<OffsetDateTime>) -> Markup {
    html! {
        @match (&host.spiffe_id, host.expires) {
            (Some(id), expires) => {
                p { code { (unspaced(id)) } }
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
            p {
                @if duplicates.len() == 1 { "Another machine calls with the same host-id, and is not let in:" }
                @else { "Other machines call with the same host-id, and are not let in:" }
            }
            ul class="stack-s" { @for duplicate in duplicates { li { (machine(duplicate)) } } }
        }
    }
}

fn machine(duplicate: &Host) -> Markup {
    html! {
        p { strong { (unspaced(&name(duplicate))) } }
        (seen(duplicate))
        @if let Some(key) = &duplicate.key { p class="muted small" { "Key " code { (key) } } }
    }
}

fn duplicate() -> Markup {
    badge(Tone::Warn, "Duplicate")
}

/// A duplicate of a host that is not shown.
pub(super) fn stray(host: &Host) -> Markup {
    alone(host, &duplicate(), "It calls with the host-id of a host that is not on this page, and is not let in.")
}

/// One that made room, and whose host-id another machine on the page has.
pub(super) fn beyond(host: &Host) -> Markup {
    let badges = html! { (badge(Tone::Warn, "Made room")) (duplicate()) };
    alone(host, &badges, "Another machine on this page has its host-id, and what is done there is done to both.")
}

fn alone(host: &Host, badges: &Markup, why: &str) -> Markup {
    html! {
        div class="grow stack-s" {
            p class="row" { strong { (unspaced(&name(host))) } (badges) }
            p class="small" { (why) }
            (seen(host))
            @if let Some(key) = &host.key { p class="muted small" { "Key " code { (key) } } }
        }
    }
}
