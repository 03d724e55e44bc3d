//! `federation.json`.

use keyward_spiffe_id::{SpiffeId, TrustDomain};
use keyward_svid::HttpsUrl;
use keyward_svid::bundle::Bundle;
use keyward_svid::federation::{Anchors, Authentication, Endpoint, Error, Fetch, Relationship, State, hint_fits};
use keyward_svid::refresh::{Due, RefreshOptions};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use crate::bundle::{Shown, Svids};
use crate::table::{Case, Judgement, Table, refusal};

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Profile {
    HttpsWeb,
    HttpsSpiffe,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RelationshipInput {
    trust_domain: TrustDomain,
    url: HttpsUrl,
    profile: Profile,
    endpoint_id: Option<SpiffeId>,
    bootstrap: Option<String>,
}

#[derive(Deserialize)]
struct Script {
    relationship: RelationshipInput,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    at: i64,
    #[serde(rename = "do")]
    what: String,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Publish {
    ahead: i64,
    refresh_hint: u64,
}

type Refusal = (&'static str, String);

#[test]
fn our_judgement() {
    let table = Table::read("federation");
    let svids = Svids::read(&table);
    table.check_some(|case| {
        Some(match case.check.as_str() {
            #[cfg(feature = "config")]
            "endpoint" => configured(case),
            // Documents are read with that feature only.
            #[cfg(not(feature = "config"))]
            "endpoint" => return None,
            "script" => script(case, &svids),
            "publish" => {
                let Publish { ahead, refresh_hint } = case.input();
                hint_fits(Duration::seconds(ahead), refresh_hint).map(|()| Map::new()).map_err(refusal("configuration"))
            }
            other => panic!("{}: unknown check `{other}`", case.id),
        })
    });
}

/// The endpoint as a configuration document.
#[cfg(feature = "config")]
fn configured(case: &Case) -> Judgement {
    use keyward_svid::federation::FederationConfig;

    let names = [
        ("url", "bundle-endpoint-url"),
        ("profile", "bundle-endpoint-profile"),
        ("endpoint-id", "endpoint-spiffe-id"),
        ("bootstrap", "bootstrap-bundle"),
    ];
    let fields: Map<String, Value> = case.input();
    if let Some(url) = fields.get("url").and_then(Value::as_str) {
        url.parse::<HttpsUrl>().map_err(refusal("endpoint"))?;
    }
    let document = fields.into_iter().map(|(name, value)| {
        let known = names.iter().find(|(ours, _)| *ours == name).map_or(name.as_str(), |(_, theirs)| theirs);
        (known.to_owned(), value)
    });
    let config: FederationConfig =
        serde_json::from_value(Value::Object(document.collect())).map_err(refusal("configuration"))?;
    config.validate().map(|()| Map::new()).map_err(refusal("configuration"))
}

fn endpoint(input: RelationshipInput) -> Endpoint {
    let RelationshipInput { trust_domain, url, profile, endpoint_id, bootstrap } = input;
    match profile {
        Profile::HttpsWeb => Endpoint::web(trust_domain, url),
        Profile::HttpsSpiffe => {
            let bootstrap = bootstrap.map(|text| Bundle::from_json(trust_domain.clone(), text.as_bytes()).unwrap());
            Endpoint::spiffe(trust_domain, url, endpoint_id.unwrap(), bootstrap).unwrap()
        }
    }
}

/// Runs the events in their order. Only the last may be refused, unless one says itself that it is.
fn script(case: &Case, svids: &Svids) -> Judgement {
    let Script { relationship, events } = case.input();
    let start = case.now();
    let relationship = Relationship::new(endpoint(relationship), RefreshOptions::default(), start).unwrap();
    let mut run = Run { relationship, fetch: None, svids };
    let last = events.len() - 1;
    for (number, event) in events.iter().enumerate() {
        let done = run.event(event, start + Duration::seconds(event.at));
        match (done, event.more.get("refused").and_then(Value::as_str)) {
            (Ok(()), None) => {}
            (Err((reason, _)), Some(expected)) if reason == expected => {}
            (Err(refusal), None) if number == last => return Err(refusal),
            (done, expected) => panic!("{}: event {number} at {}: {done:?}, not {expected:?}", case.id, event.at),
        }
    }
    Ok(Map::new())
}

struct Run<'s> {
    relationship: Relationship,
    fetch: Option<Fetch>,
    svids: &'s Svids,
}

impl Run<'_> {
    fn event(&mut self, event: &Event, now: OffsetDateTime) -> Result<(), Refusal> {
        let text = |name: &str| event.more.get(name).and_then(Value::as_str);
        match event.what.as_str() {
            "poll" => {
                let due = self.relationship.poll(now);
                let said = self.due(due, now, event);
                let expected: Map<String, Value> = event
                    .more
                    .iter()
                    .filter(|(name, _)| *name != "refused")
                    .map(|(a, b)| (a.clone(), b.clone()))
                    .collect();
                assert_eq!(said, Value::Object(expected), "at {}", event.at);
                Ok(())
            }
            "answer" => {
                let ticket = self.fetch.take().unwrap().ticket;
                let document = text("document").unwrap();
                self.relationship.fetched(ticket, document.as_bytes(), now).map(drop).map_err(refused)
            }
            "fail" => {
                let ticket = self.fetch.take().unwrap().ticket;
                self.relationship.failed(ticket, "no connection", now);
                Ok(())
            }
            "redirect" => {
                let fetch = self.fetch.as_mut().unwrap();
                let status = event.more["status"].as_u64().unwrap().try_into().unwrap();
                fetch.redirected(status, text("location")).map_err(refused)?;
                assert_eq!(Some(fetch.url.as_str()), text("to"), "at {}", event.at);
                if let Some(expected) = event.more.get("authenticate") {
                    assert_eq!(&authenticate(&fetch.authentication, self.svids, expected), expected, "at {}", event.at);
                }
                Ok(())
            }
            "status" => {
                let said = self.status(now);
                for (name, expected) in event.more["is"].as_object().unwrap() {
                    assert_eq!(said.get(name), Some(expected), "`{name}` at {}", event.at);
                }
                Ok(())
            }
            "verify" => {
                let shown: Shown = serde_json::from_value(Value::Object(event.more.clone())).unwrap();
                let none = match self.relationship.status(now).state {
                    State::Expired => "expired",
                    _ => "trust-domain",
                };
                let bundle = self.relationship.bundle(now).ok_or((none, "no bundle".to_owned()))?;
                self.svids.verify(&shown, bundle, now).map(drop)
            }
            other => panic!("unknown event `{other}`"),
        }
    }

    /// What there is to do, in the form of the table.
    fn due(&mut self, due: Due<Fetch>, now: OffsetDateTime, event: &Event) -> Value {
        match due {
            Due::Wait(until) => json!({ "wait-until": event.at + (until - now).whole_seconds() }),
            Due::Fetch(fetch) => {
                let expected = &event.more["fetch"]["authenticate"];
                let said = authenticate(&fetch.authentication, self.svids, expected);
                let said = json!({ "fetch": { "url": fetch.url.as_str(), "authenticate": said } });
                self.fetch = Some(fetch);
                said
            }
        }
    }

    fn status(&self, now: OffsetDateTime) -> Map<String, Value> {
        let status = self.relationship.status(now);
        let state = match status.state {
            State::Waiting => "waiting",
            State::Current => "current",
            State::Expired => "expired",
            other => panic!("unknown: {other:?}"),
        };
        Map::from_iter([
            ("state".to_owned(), json!(state)),
            ("sequence".to_owned(), json!(status.sequence)),
            ("age".to_owned(), json!(status.age.map(Duration::whole_seconds))),
            ("failed".to_owned(), json!(status.last_error.is_some())),
            ("rolled-back-to".to_owned(), json!(status.rolled_back_to)),
            ("revoked".to_owned(), json!(status.revoked)),
        ])
    }
}

/// Whom to believe, in the form of the table: authorities under the names that the table expects, if they are these.
fn authenticate(authentication: &Authentication, svids: &Svids, expected: &Value) -> Value {
    match authentication {
        Authentication::WebPki => json!("web"),
        Authentication::Spiffe { endpoint_id, anchors: Anchors::Of(trust_domain) } => {
            json!({ "id": endpoint_id.as_str(), "of": trust_domain.as_str() })
        }
        Authentication::Spiffe { endpoint_id, anchors: Anchors::Bundle(bundle) } => {
            let names: Vec<&str> =
                expected["authorities"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let same = bundle.authorities().iter().eq(names.iter().map(|name| svids.certificate(name)));
            json!({ "id": endpoint_id.as_str(), "authorities": if same { json!(names) } else { json!("others") } })
        }
        other => panic!("unknown: {other:?}"),
    }
}

fn refused(error: Error) -> Refusal {
    let reason = match &error {
        Error::Bundle(error) => crate::bundle::reason(error),
        Error::RedirectStatus { .. } | Error::RedirectLocation | Error::RedirectTarget(_) | Error::TooManyRedirects => {
            "endpoint"
        }
        other => panic!("no reason for: {other}"),
    };
    (reason, error.to_string())
}
