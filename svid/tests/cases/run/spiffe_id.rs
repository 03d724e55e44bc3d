//! `spiffe-id.json`.

use keyward_spiffe_id::{Error, Pattern, SpiffeId, SpiffeIdRef, TrustDomain};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::table::{Case, Judgement, Table};

#[derive(Deserialize)]
struct Texts {
    texts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Parts {
    trust_domain: TrustDomain,
    segments: Vec<String>,
}

#[derive(Deserialize)]
struct TwoIds {
    id: SpiffeId,
    other: SpiffeId,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Member {
    id: SpiffeId,
    trust_domain: TrustDomain,
}

#[derive(Deserialize)]
struct Match {
    pattern: Pattern,
    id: SpiffeId,
}

#[test]
fn our_judgement() {
    Table::read("spiffe-id").check(judge);
}

/// The crate `spiffe` reads IDs too.
#[test]
fn spiffe_rs() {
    Table::read("spiffe-id").check_peer("spiffe-rs", |case| {
        let results = case.input::<Texts>().texts.into_iter().map(|text| match case.check.as_str() {
            "trust-domain" => spiffe::TrustDomain::new(&text).map(drop).map_err(|error| error.to_string()),
            _ => spiffe::SpiffeId::new(&text).map(drop).map_err(|error| error.to_string()),
        });
        uniform(case, results.collect())
    });
}

/// All texts of a case are judged alike.
fn uniform<T, E: std::fmt::Debug>(case: &Case, results: Vec<Result<T, E>>) -> Result<(), E> {
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    let Texts { texts } = case.input();
    if accepted != 0 && accepted != texts.len() {
        let split = texts.iter().zip(&results).filter(|(_, result)| result.is_ok()).map(|(text, _)| text);
        panic!("{}: accepted among those refused: {:?}", case.id, split.collect::<Vec<_>>());
    }
    results.into_iter().find_map(Result::err).map_or(Ok(()), Err)
}

fn judge(case: &Case) -> Judgement {
    let holds = |yes: bool| yes.then(Map::new).ok_or(("other", "no".to_owned()));
    match case.check.as_str() {
        "id" => each(case, |text| {
            let id = SpiffeIdRef::parse(text)?;
            // What was read is written as it was, and put together again from its parts.
            assert_eq!((id.as_str(), &text.parse::<SpiffeId>()?), (text, &id.to_owned()));
            assert_eq!(SpiffeId::from_segments(id.trust_domain(), id.segments())?, id);
            Ok(("parts", json!([id.trust_domain().as_str(), id.path()])))
        }),
        "id-lenient" => each(case, |text| Ok(("canonical", json!(SpiffeId::parse_lenient(text)?.as_str())))),
        "trust-domain" => each(case, |text| Ok(("name", json!(text.parse::<TrustDomain>()?.as_str())))),
        "authority-id" => {
            each(case, |text| Ok(("name", json!(SpiffeIdRef::parse(text)?.signing_authority_of()?.as_str()))))
        }
        "workload-id" => each(case, |text| Ok(("path", json!(SpiffeIdRef::parse(text)?.workload_path()?)))),
        "pattern" => each(case, |text| Ok(("canonical", json!(text.parse::<Pattern>()?.as_str())))),
        "segments" => {
            let Parts { trust_domain, segments } = case.input();
            let id = SpiffeId::from_segments(&trust_domain, segments)
                .map_err(|error| (reason(&error), error.to_string()))?;
            Ok(fact("canonical", json!(id.as_str())))
        }
        "equal" => {
            let TwoIds { id, other } = case.input();
            holds(id == other)
        }
        "member-of" => {
            let Member { id, trust_domain } = case.input();
            holds(id.is_member_of(&trust_domain))
        }
        "match" => {
            let Match { pattern, id } = case.input();
            holds(pattern.matches(&id))
        }
        other => panic!("{}: unknown check `{other}`", case.id),
    }
}

/// Judges each text; the fact of the case is the list of theirs.
fn each(case: &Case, judge: impl Fn(&str) -> Result<(&'static str, Value), Error>) -> Judgement {
    let results: Vec<_> = case.input::<Texts>().texts.iter().map(|text| judge(text)).collect();
    let reasons: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).map(reason).collect();
    assert!(reasons.windows(2).all(|pair| pair[0] == pair[1]), "{}: {reasons:?}", case.id);
    let facts: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).cloned().collect();
    uniform(case, results).map_err(|error| (reason(&error), error.to_string()))?;
    let name = facts[0].0;
    Ok(fact(name, Value::Array(facts.into_iter().map(|(_, value)| value).collect())))
}

fn fact(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

pub(crate) fn reason(error: &Error) -> &'static str {
    match error {
        Error::TooLong { .. } => "limit",
        Error::UnexpectedPath { .. } | Error::MissingPath { .. } => "role",
        _ => "id",
    }
}
