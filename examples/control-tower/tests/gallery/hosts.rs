//! The pages of hosts: who called home, the install script, the settings.

use control_tower::pages::{
    call_home::{self, Settings},
    form::Wrong,
    hosts::{Host, Hosts, Refused, Rights, Updates},
    install::{self, Certificate, Install, Script},
    layout::{HostPage, Viewer},
    problem::Problem,
};
use keyward_callhome_cert::Granularity;
use time::Duration;

use super::{NOW, long_viewer, put, viewer};

const LONG_NAME: &str = "an-edge-host-with-a-rather-long-name-0123.stores.north.subsidiary.example.com";
const LONG_SITE: &str = "the-plant-beside-the-river-in-the-very-north-of-the-country";

fn host(number: u8, state: &str, name: Option<&str>) -> Host {
    Host {
        id: format!("{number:02x}").repeat(32),
        state: state.to_owned(),
        host_name: name.map(str::to_owned),
        agent_version: Some("0.1.0".to_owned()),
        address: Some(if number.is_multiple_of(2) { "192.0.2.17" } else { "2001:db8:4c4c:4544:51::1" }.to_owned()),
        key: Some("bZk1wQ0eXr7yL3v9JmT2uNf8sHc5aGd4oPiEqWxRtYk".to_owned()),
        certificate: Some("6b1f0a9c3d2e4f5a6b7c8d9e0f1a2b3c".to_owned()),
        first_seen: Some(NOW - Duration::HOUR),
        last_seen: Some(NOW - Duration::MINUTE),
        ..Host::default()
    }
}

fn claimed(number: u8, site: &str, name: Option<&str>, ends: Duration) -> Host {
    let id = format!("spiffe://tower.example/site/{site}/host/{}", format!("{number:02x}").repeat(32));
    Host {
        site: Some(site.to_owned()),
        spiffe_id: Some(id),
        expires: Some(NOW + ends),
        ..host(number, "claimed", name)
    }
}

const ALL_RIGHTS: Rights = Rights { claim: true, release: true, remove: true, create_sites: true };

fn refused(why: &str, host: &str, times: usize) -> Refused {
    Refused {
        time: NOW - Duration::MINUTE,
        host: host.to_owned(),
        source: "192.0.2.18".to_owned(),
        why: why.to_owned(),
        times,
    }
}

fn nothing_yet() -> Hosts {
    Hosts {
        problem: None,
        done: None,
        updates: Updates::On(0),
        unclaimed: vec![],
        duplicates: vec![],
        displaced: vec![],
        all: Some(vec![]),
        after: String::new(),
        next: None,
        sites: Some(vec![]),
        site_draft: None,
        refused: Some(vec![]),
        rights: ALL_RIGHTS,
        listens: true,
    }
}

/// All of them.
pub(crate) fn pages() {
    lists();
    scripts();
    settings();
}

fn lists() {
    let bound = Host { bound_site: Some(LONG_SITE.to_owned()), ..host(2, "unclaimed", Some("till-7")) };
    let waiting = vec![host(1, "unclaimed", Some(LONG_NAME)), bound, host(3, "unclaimed", None)];
    let expired = "the call-home certificate expired at 2026-03-09T12:00:00Z: issue a new one";
    let full = Hosts {
        done: Some("The host is claimed. It gets its identity when it asks next, within seconds."),
        unclaimed: waiting,
        duplicates: vec![
            host(1, "duplicate", Some("another-machine")),
            host(1, "duplicate", None),
            host(9, "duplicate", Some(LONG_NAME)),
        ],
        displaced: vec![
            host(10, "displaced", Some(LONG_NAME)),
            host(11, "displaced", Some("till-8")),
            host(11, "displaced", None),
            // Another machine waits with its host-id.
            Host {
                key: Some("kUfuRq8Yb2Nn4yqYf1m6l7pR9bZk1wQ0eXr7yL3v9Jm".to_owned()),
                ..host(3, "displaced", Some(LONG_NAME))
            },
        ],
        all: Some(vec![
            claimed(4, "oslo", Some("till-1"), Duration::hours(13)),
            claimed(5, LONG_SITE, Some(LONG_NAME), -Duration::MINUTE),
            Host { spiffe_id: None, expires: None, ..claimed(6, "oslo", None, Duration::HOUR) },
            host(7, "removed", Some("till-9")),
        ]),
        next: Some("/hosts?after=x".to_owned()),
        sites: Some(vec!["oslo".to_owned(), LONG_SITE.to_owned(), "bergen".to_owned()]),
        refused: Some(vec![
            refused(expired, &"0a".repeat(32), 1),
            refused(
                "a call-home certificate is needed (granularity `site`): issue one and run its install script",
                "",
                34,
            ),
        ]),
        ..nothing_yet()
    };
    put("hosts", &full.page(&viewer(), NOW));
    let looking = Hosts { rights: Rights::default(), done: None, updates: Updates::Off, refused: None, ..full.clone() };
    let reader = Viewer { administers: false, hosts: vec![HostPage::List], ..long_viewer() };
    put("hosts-looking", &looking.page(&reader, NOW));
    let problem = Problem("no site was made: look at what is marked below".to_owned());
    let draft = ("no site".to_owned(), "a name has letters, digits and dashes".to_owned());
    put(
        "hosts-refused",
        &Hosts { problem: Some(problem), done: None, site_draft: Some(draft), ..full }.page(&viewer(), NOW),
    );
    put("hosts-nothing-yet", &nothing_yet().page(&viewer(), NOW));
    let duplicates = vec![host(9, "duplicate", Some(LONG_NAME)), host(9, "duplicate", None)];
    let no_site = Hosts { unclaimed: vec![host(1, "unclaimed", Some("till-7"))], duplicates, ..nothing_yet() };
    put("hosts-no-site", &no_site.page(&viewer(), NOW));
    put("hosts-deaf", &Hosts { listens: false, ..nothing_yet() }.page(&long_viewer(), NOW));
}

fn scripts() {
    let url = "https://call-home.tower.example:4649".to_owned();
    let install = Install {
        problem: None,
        wrong: None,
        granularity: Some(Granularity::Site),
        url: url.clone(),
        sites: Some(vec!["oslo".to_owned(), LONG_SITE.to_owned()]),
        draft: install::Draft::default(),
    };
    put("install", &install.page(&viewer()));
    let of = |granularity| Install { granularity: Some(granularity), ..install.clone() };
    put("install-never", &of(Granularity::Never).page(&viewer()));
    let wrong = |field: &str, message: &str| Some(Wrong { field: field.to_owned(), message: message.to_owned() });
    let too_long = wrong("ttl", "`400d` is too long: at most 30d");
    let draft =
        install::Draft { host_id: "4c4c4544-0051".to_owned(), ttl: "400d".to_owned(), ..install::Draft::default() };
    let problem = Some(Problem("nothing was issued: look at what is marked below".to_owned()));
    put("install-refused", &Install { problem, wrong: too_long, draft, ..of(Granularity::HostId) }.page(&viewer()));
    let nowhere = Problem("hosts cannot call home here: start the tower with `--call-home-listen`, or fill in the external URL in the call-home settings".to_owned());
    put("install-nowhere", &Install { problem: Some(nowhere), granularity: None, ..install }.page(&long_viewer()));
    let script = Script {
        url,
        text: "#!/bin/sh\n# Brings this host to its Keyward control tower: https://call-home.tower.example:4649\n"
            .repeat(12),
        encoded: "QUJD".to_owned(),
        digest: "0b".repeat(32),
        file: "install-0b0b0b0b.sh".to_owned(),
        certificate: Some(Certificate {
            serial: "6b1f0a9c3d2e4f5a6b7c8d9e0f1a2b3c".to_owned(),
            scope: format!("hosts of the site `{LONG_SITE}`"),
            expires: NOW + Duration::DAY,
            max_uses: None,
        }),
    };
    put("install-script", &script.page(&viewer()));
    put("install-script-never", &Script { certificate: None, ..script }.page(&long_viewer()));
}

fn settings() {
    let draft = call_home::Draft {
        verify: "certificate-only".to_owned(),
        handshake: "optional".to_owned(),
        lb_mode: "none".to_owned(),
        lb_addresses: String::new(),
        proxy_protocol: "forbidden".to_owned(),
        enable_unclaimed: true,
        max_unclaimed: "20".to_owned(),
        max_duplicates: "20".to_owned(),
        external_url: String::new(),
        external_ca_pem: String::new(),
    };
    let settings = Settings {
        problem: None,
        wrong: None,
        done: true,
        draft,
        revision: "7".to_owned(),
        may_change: true,
        hides: false,
    };
    put("call-home", &settings.page(&viewer()));
    let wrong = Some(Wrong {
        field: "client-certificate.handshake".to_owned(),
        message: "is `required`, but a host that waits to be claimed comes again without a certificate".to_owned(),
    });
    let draft = call_home::Draft {
        handshake: "required".to_owned(),
        external_url: format!("https://{LONG_NAME}:4649"),
        ..settings.draft.clone()
    };
    let problem = Some(Problem("nothing was changed: look at what is marked below".to_owned()));
    put("call-home-refused", &Settings { problem, wrong, done: false, draft, ..settings.clone() }.page(&long_viewer()));
    put(
        "call-home-looking",
        &Settings { may_change: false, hides: true, done: false, ..settings }.page(&long_viewer()),
    );
}

/// As text, to a reader to whom all pages are shown.
fn text(page: &Hosts) -> String {
    page.page(&viewer(), NOW).text().to_owned()
}

fn with_sites() -> Hosts {
    Hosts { sites: Some(vec!["oslo".to_owned()]), ..nothing_yet() }
}

#[test]
fn each_state_says_what_can_be_done_and_duplicates_are_beside_the_first() {
    let hostile = Some("<script>alert(1)</script>");
    let page = Hosts {
        unclaimed: vec![host(1, "unclaimed", hostile)],
        duplicates: [2, 4, 4].map(|number| host(number, "duplicate", hostile)).to_vec(),
        // One that is back with another certificate, and one that had two.
        displaced: vec![host(1, "displaced", hostile), host(5, "displaced", hostile), host(5, "displaced", hostile)],
        all: Some(vec![
            host(1, "unclaimed", hostile),
            claimed(2, "oslo", hostile, -Duration::MINUTE),
            host(3, "removed", hostile),
        ]),
        ..with_sites()
    };
    let text = text(&page);
    assert!(!text.contains("<script>alert"), "{text}");
    assert_eq!(text.matches("<form").count(), text.matches(r#"value="token-of-the-form""#).count());
    // Claimed and removed ones are released; unclaimed and claimed ones removed; and either is done with one that made room, and with
    // duplicates of a host that is gone, once.
    for (action, count) in [("/hosts/claim", 1), ("/hosts/release", 4), ("/hosts/remove", 4)] {
        assert_eq!(text.matches(&format!("action=\"{action}\"")).count(), count, "{action}");
    }
    assert_eq!((text.matches("same host-id").count(), text.matches("is gone by now").count()), (2, 1));
    assert!(text.contains("Expired") && text.contains("spiffe://tower.<wbr>example/"), "{text}");
    assert!(text.contains("1 host waits to be claimed, and there are 3 duplicates."));
    // Where not all are shown it may be one of the others.
    let part = self::text(&Hosts { next: Some("/hosts?after=x".to_owned()), ..page });
    assert_eq!((part.matches("not on this page").count(), part.matches("is gone by now").count()), (2, 0));
    let ids: Vec<&str> = text.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len(), "{ids:?}");
}

#[test]
fn each_machine_that_made_room_is_shown_once_and_says_why_it_is_there() {
    let of = |number, state, key: &str| Host { key: Some(key.to_owned()), ..host(number, state, None) };
    let page = Hosts {
        // Another machine has the host-id of two that made room, of which one called again.
        unclaimed: vec![of(1, "unclaimed", "new")],
        duplicates: vec![of(1, "duplicate", "back"), of(2, "duplicate", "other"), of(2, "duplicate", "third")],
        displaced: vec![
            of(1, "displaced", "back"),
            of(1, "displaced", "gone"),
            of(2, "displaced", "first"),
            of(2, "displaced", "first"),
        ],
        ..with_sites()
    };
    let text = text(&page);
    for (words, count) in [
        ("not on this page", 0),
        ("Another machine calls with the same host-id, and is not let in:", 1),
        ("Other machines call with the same host-id, and are not let in:", 1),
        (">Made room<", 2),
        ("Another machine on this page has its host-id", 1),
    ] {
        assert_eq!(text.matches(words).count(), count, "{words}: {text}");
    }
    for key in ["new", "back", "gone", "first", "other", "third"] {
        assert_eq!(text.matches(&format!("<code>{key}</code>")).count(), 1, "{key}: {text}");
    }
}

#[test]
fn one_that_made_room_is_a_duplicate_before_it_calls_again() {
    let of = |number, state, key: &str| Host { key: Some(key.to_owned()), ..host(number, state, None) };
    let page = |displaced| {
        let unclaimed = vec![of(1, "unclaimed", "new"), of(2, "unclaimed", "b")];
        text(&Hosts { unclaimed, displaced, ..with_sites() })
    };
    // It, and the one that has its host-id by now.
    let shared = page(vec![of(1, "displaced", "old"), of(3, "displaced", "c")]);
    assert_eq!(shared.matches(">Duplicate<").count(), 2, "{shared}");
    assert_eq!(shared.matches("A machine that made room for others has the same host-id.").count(), 1, "{shared}");
    // Both made room.
    let both = page(vec![of(3, "displaced", "c"), of(3, "displaced", "d")]);
    assert_eq!(both.matches(">Duplicate<").count(), 2, "{both}");
    // By itself, or back with another certificate, it is none.
    for alone in [of(3, "displaced", "c"), of(1, "displaced", "new")] {
        assert!(!page(vec![alone]).contains(">Duplicate<"));
    }
}

#[test]
fn whoever_may_only_look_is_offered_nothing() {
    let all = Some(vec![claimed(2, "oslo", None, Duration::HOUR)]);
    let page = Hosts { unclaimed: vec![host(1, "unclaimed", None)], all, rights: Rights::default(), ..with_sites() };
    assert!(!text(&page).contains("action=\"/hosts/"), "{}", text(&page));
}

#[test]
fn a_host_that_is_bound_is_offered_its_site_alone() {
    let bound = Host { bound_site: Some("bergen".to_owned()), ..host(1, "unclaimed", None) };
    let text = text(&Hosts { unclaimed: vec![bound], ..with_sites() });
    assert!(text.contains(r#"<option value="bergen">"#) && !text.contains(r#"<option value="oslo">"#), "{text}");
}

#[test]
fn it_looks_for_news_for_half_an_hour_and_can_be_held() {
    let with = |updates| text(&Hosts { updates, ..with_sites() });
    let on = with(Updates::On(3));
    assert!(
        on.contains(r#"<noscript><meta http-equiv="refresh" content="30; url=/hosts?updates=4"></noscript>"#),
        "{on}"
    );
    assert!(on.contains(r#"data-live="/hosts?updates=0""#));
    for updates in [Updates::Off, Updates::On(60)] {
        let held = with(updates);
        assert!(!held.contains("http-equiv") && !held.contains("data-live") && held.contains("Go on"), "{held}");
    }
}

#[test]
fn nothing_yet_says_what_to_do_next() {
    assert!(text(&nothing_yet()).contains("Install an agent"));
    assert!(text(&Hosts { listens: false, ..nothing_yet() }).contains("--call-home-listen"));
    let waiting = Hosts { unclaimed: vec![host(1, "unclaimed", None)], ..nothing_yet() };
    assert!(text(&waiting).contains("There is no site to claim it for."));
}
