//! Tokens made from tokens.

use std::collections::BTreeMap;

use keyward_config_values::{Duration, Name};
use rand_core::CryptoRng;
use serde::Deserialize;
use time::OffsetDateTime;

use super::check::{is_administrator, may_give};
use super::record::Said;
use super::{
    Authenticated, MAX_LISTS, MAX_METADATA, Token, TokenId, TokenParameters, TokenRecord, TokenType, lists_length,
};
use crate::error::{FieldError, Invalid, Limit, Problem};
use crate::role::longer;
use crate::{DEFAULT_POLICY, Error, Limits, Pepper, metadata};

/// The most ancestors of a token. Each is one look-up at every use of the token, which is what lets a
/// revocation delete one record whatever was made from it.
pub const MAX_ANCESTORS: usize = 8;
/// The longest name to be shown, in bytes.
const MAX_NAME: usize = 256;

/// What a caller may ask of a token that it makes from its own. A field that is not known is refused: a
/// limit that is misspelt must not be left out.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ChildRequest {
    /// Names of its policies, each of which the caller's token has; all of those by default. `default`
    /// need not be named.
    pub policies: Option<Vec<Name>>,
    /// Leaves the built-in policy `default` out.
    pub no_default_policy: bool,
    /// Life from now, and from a refresh that asks for nothing; the system's default without it.
    pub ttl: Option<Duration>,
    /// Makes it periodic.
    pub period: Option<Duration>,
    /// Its end counted from now, which no refresh moves.
    pub explicit_max_ttl: Option<Duration>,
    /// How often it can be used; 0 means without limit.
    pub num_uses: u32,
    /// Whether it can be refreshed; it can by default.
    pub renewable: Option<bool>,
    /// Its type, `service` by default. A batch token has none of `period`, `explicit-max-ttl` and
    /// `num-uses`, and is no orphan: nothing would end it.
    #[serde(rename = "type")]
    pub kind: TokenType,
    /// Texts to be kept with it. They are shown and prove nothing: its `metadata`, which policies may ask for, is the
    /// caller's own, unless that is an administrator.
    pub metadata: BTreeMap<String, String>,
    /// The token itself, where an administrator chooses it. The store must refuse one that exists.
    pub id: Option<TokenId>,
    /// A name to be shown with it.
    pub display_name: Option<String>,
}

impl ChildRequest {
    fn check(&self, parent: &TokenRecord) -> Result<(), Invalid> {
        let (explicit, period) = (("explicit-max-ttl", self.explicit_max_ttl), ("period", self.period));
        let mut problems = Vec::new();
        for (field, value, (other, limit)) in
            [("ttl", self.ttl, explicit), ("ttl", self.ttl, period), ("period", self.period, explicit)]
        {
            let problem = longer(value, limit, Limit::Field(other));
            problems.extend(problem.map(|problem| FieldError::new(field, problem)));
        }
        if self.kind == TokenType::Batch {
            let unfit = [
                ("period", self.period.is_some()),
                ("explicit-max-ttl", self.explicit_max_ttl.is_some()),
                ("num-uses", self.num_uses > 0),
                ("id", self.id.is_some()),
            ];
            for (field, _) in unfit.into_iter().filter(|(_, set)| *set) {
                problems.push(FieldError::new(field, Problem::Excludes { other: "type: batch" }));
            }
            let lists = lists_length(&self.policies(parent.policies()), parent.bound_cidrs());
            let texts = metadata::length(&self.metadata) + self.display_name.as_ref().map_or(0, String::len);
            let found = lists + lists_length(&[], parent.own_cidrs()) + texts;
            if found > MAX_LISTS {
                problems.push(FieldError::new("policies", Problem::TooMuchForBatch { found, maximum: MAX_LISTS }));
            }
            let found = metadata::length(&self.proven(parent));
            if found > MAX_METADATA {
                problems.push(FieldError::new("metadata", Problem::TooMuchForBatch { found, maximum: MAX_METADATA }));
            }
        }
        if self.id.is_some() && !is_administrator(parent.policies()) {
            problems.push(FieldError::new("id", Problem::AdministratorOnly));
        }
        problems.extend(metadata::check("metadata", &self.metadata));
        let unfit = |name: &String| name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control);
        if self.display_name.as_ref().is_some_and(unfit) {
            problems.push(FieldError::new("display-name", Problem::Text { maximum: MAX_NAME }));
        }
        let held = parent.policies();
        let unheld = self.policies.iter().flatten().find(|policy| !may_give(held, policy));
        if let Some(policy) = unheld {
            problems.push(FieldError::new("policies", Problem::NotHeld { policy: policy.clone() }));
        }
        Invalid::check(problems)
    }

    /// The metadata of the new token: the caller's, unless that could do everything whatever it were.
    fn proven(&self, parent: &TokenRecord) -> BTreeMap<String, String> {
        let said = is_administrator(parent.policies()).then_some(&self.metadata).filter(|said| !said.is_empty());
        said.unwrap_or(parent.metadata()).clone()
    }

    fn finish(&self, record: TokenRecord, pepper: &Pepper, rng: &mut impl CryptoRng) -> (Token, TokenRecord) {
        match &self.id {
            Some(id) => record.named(Token::of(id.text()), pepper),
            None => record.finish(pepper, rng),
        }
    }

    fn said(&self) -> Said {
        Said { name: self.display_name.clone(), notes: self.metadata.clone() }
    }

    /// What the new token has: what was asked, and `default` where the caller has it.
    fn policies(&self, held: &[Name]) -> Vec<Name> {
        let asked = self.policies.as_deref().unwrap_or(held);
        let mut policies = Vec::with_capacity(asked.len() + 1);
        let is_default = |policy: &&Name| policy.as_str() == DEFAULT_POLICY;
        // An administrator may give `default` without having it.
        let default = held.iter().find(is_default).or_else(|| asked.iter().find(is_default)).cloned();
        for policy in default.iter().chain(asked) {
            let left_out = self.no_default_policy && policy.as_str() == DEFAULT_POLICY;
            if !left_out && !policies.contains(policy) {
                policies.push(policy.clone());
            }
        }
        policies
    }
}

impl Authenticated {
    /// Makes a child of the token that was presented: a token that ends with it, of the same tenant and
    /// for the same role or user. It has no policy, no address and no moment that the parent has not, and
    /// no SVID comes with it. [`crate::check_child`] holds it to that at each use.
    ///
    /// Store the record as that of a login. A commit need not be guarded by the parent's record: once that is
    /// gone, the child is refused.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what the parent has not, [`Error::Counted`] when the parent's uses are
    /// counted, [`Error::Batch`] when it is a batch token, [`Error::Ancestors`] when it has [`MAX_ANCESTORS`].
    pub fn make_child(
        &self,
        request: &ChildRequest,
        limits: &Limits,
        pepper: &Pepper,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<(Token, TokenRecord), Error> {
        let parent = self.record();
        let mut ancestors = vec![*parent.key()];
        ancestors.extend_from_slice(parent.ancestors());
        if ancestors.len() > MAX_ANCESTORS {
            return Err(Error::Ancestors { maximum: MAX_ANCESTORS });
        }
        let draft = self.draft(request, limits, rng, now)?;
        Ok(request.finish(draft.made(ancestors, request.said(), Some(parent.expires())), pepper, rng))
    }

    /// Makes a token that outlives the one that was presented: as [`make_child`](Self::make_child), but no
    /// other token ends it, and its life is its own. It still ends with the role or user that it is for. So
    /// whoever may make one may leave a role's `token-explicit-max-ttl` behind: let few.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], [`Error::Counted`] and [`Error::Batch`] as there; [`Error::Orphan`] where it would be
    /// a batch token.
    pub fn make_orphan(
        &self,
        request: &ChildRequest,
        limits: &Limits,
        pepper: &Pepper,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<(Token, TokenRecord), Error> {
        if request.kind == TokenType::Batch {
            return Err(Error::Orphan);
        }
        Ok(request.finish(self.draft(request, limits, rng, now)?.made(Vec::new(), request.said(), None), pepper, rng))
    }

    fn draft(
        &self,
        request: &ChildRequest,
        limits: &Limits,
        rng: &mut impl CryptoRng,
        now: OffsetDateTime,
    ) -> Result<TokenRecord, Error> {
        let parent = self.record();
        if parent.kind() == TokenType::Batch {
            return Err(Error::Batch);
        }
        if parent.uses_left().is_some() {
            return Err(Error::Counted);
        }
        request.check(parent)?;
        // Whatever became of the clock: what counts of its parent, as from after the user's password, counts of it.
        let now = now.max(parent.creation_time());
        let parameters = TokenParameters {
            tenant: parent.tenant().clone(),
            subject: parent.subject().clone(),
            kind: request.kind,
            policies: request.policies(parent.policies()),
            ttl: request.ttl,
            period: request.period,
            max_ttl: None,
            explicit_max_ttl: request.explicit_max_ttl,
            num_uses: (request.num_uses > 0).then_some(request.num_uses),
            bound_cidrs: parent.bound_cidrs().to_vec(),
            own_cidrs: parent.own_cidrs().to_vec(),
            bound_host: parent.bound_host(),
            renewable: request.renewable.unwrap_or(true),
            metadata: request.proven(parent),
            jwt_audiences: Vec::new(),
            x509_svid: false,
            svid_ttl: None,
        };
        Ok(TokenRecord::draft(parameters, limits, rng, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, duration, name, pepper, rng, role};
    use crate::{Owner, Reason, Role, check, check_child};

    const SOURCE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn login(role: &Role, seed: u64) -> TokenRecord {
        let parameters = TokenParameters::for_role(role, SOURCE);
        TokenRecord::issue(parameters, &Limits::default(), &pepper(), &mut rng(seed), at(0)).1
    }

    fn child_of(parent: &Authenticated, json: &str, seed: u64, now: i64) -> Result<TokenRecord, String> {
        let request: ChildRequest = serde_json::from_str(json).unwrap();
        let made = parent.make_child(&request, &Limits::default(), &pepper(), &mut rng(seed), at(now));
        made.map(|(_, record)| record).map_err(|error| error.to_string())
    }

    #[test]
    fn a_child_is_not_older_than_its_parent() {
        let parent = good(&login(&role(r#"{"name":"r"}"#), 2));
        for (now, created) in [(-5, 0), (0, 0), (5, 5)] {
            assert_eq!(child_of(&parent, "{}", 3, now).unwrap().creation_time(), at(created), "{now}");
        }
    }

    fn good(record: &TokenRecord) -> Authenticated {
        check(record.key(), Some(record), SOURCE, at(1)).unwrap()
    }

    #[test]
    fn a_child_has_what_its_parent_has_unless_it_asks_for_less() {
        let parent = login(
            &role(r#"{"name":"a","token-policies":["b","c"],"token-ttl":"10m","token-auto-bound-cidrs":"host"}"#),
            1,
        );
        let child = child_of(&good(&parent), "{}", 2, 1).unwrap();
        assert_eq!(child.policies(), parent.policies());
        assert_eq!(child.subject(), parent.subject());
        assert_eq!(child.expires(), parent.expires(), "not the hour that is the default");
        assert_eq!(child.ancestors(), [*parent.key()]);
        assert!(child.is_made() && !child.is_orphan() && child.is_renewable());
        assert_eq!((child.bound_host(), child.uses_left()), (Some(SOURCE), None));

        let json = r#"{"policies":["c"],"ttl":"1m","num-uses":2,"renewable":false,"no-default-policy":true}"#;
        let child = child_of(&good(&parent), json, 2, 1).unwrap();
        assert_eq!(child.policies(), [name("c")]);
        assert_eq!(child.expires(), at(61));
        assert_eq!(child.uses_left(), Some(2));
        assert!(!child.is_renewable());
        let child = child_of(&good(&parent), r#"{"policies":["c"]}"#, 2, 1).unwrap();
        assert_eq!(child.policies(), [name("default"), name("c")]);
    }

    #[test]
    fn what_the_parent_has_not_cannot_be_given() {
        let parent = good(&login(&role(r#"{"name":"a","token-policies":["b"],"token-no-default-policy":true}"#), 1));
        assert_eq!(child_of(&parent, r#"{"policies":["b"]}"#, 2, 1).unwrap().policies(), [name("b")]);
        for (json, text) in [
            (r#"{"policies":["b","x"]}"#, "`policies` names `x`, which the token that asks does not have"),
            (r#"{"policies":["default"]}"#, "`policies` names `default`, which the token that asks does not have"),
            (
                r#"{"policies":["administrator"]}"#,
                "`policies` names `administrator`, which the token that asks does not have",
            ),
            (r#"{"ttl":"2h","explicit-max-ttl":"1h"}"#, "`ttl` is `2h`, longer than `explicit-max-ttl` (`1h`)"),
        ] {
            assert_eq!(child_of(&parent, json, 2, 1).unwrap_err(), text);
        }
        let misspelt = serde_json::from_str::<ChildRequest>(r#"{"num_uses":1}"#).unwrap_err().to_string();
        assert!(misspelt.starts_with("unknown field `num_uses`"), "{misspelt}");
    }

    #[test]
    fn an_administrator_gives_any_policy() {
        let user = TokenParameters::for_user(name("default"), "joe", vec![name("administrator")]);
        let (_, parent) = TokenRecord::issue(user, &Limits::default(), &pepper(), &mut rng(1), at(0));
        let child = child_of(&good(&parent), r#"{"policies":["reader","default"]}"#, 2, 1).unwrap();
        assert_eq!(child.policies(), [name("default"), name("reader")]);
        let checked = check_child(child.key(), Some(&child), &[Some(&parent)], SOURCE, at(2)).unwrap();
        assert_eq!(checked.policies(), child.policies());
    }

    #[test]
    fn counted_tokens_and_long_lines_make_no_children() {
        let counted = login(&role(r#"{"name":"a","token-num-uses":2}"#), 1);
        assert_eq!(
            child_of(&good(&counted), "{}", 2, 1).unwrap_err(),
            "a token with a limited number of uses makes no other tokens"
        );
        let mut line = vec![login(&role(r#"{"name":"a"}"#), 1)];
        for seed in 2..=9 {
            let (last, before) = line.split_first().unwrap();
            let ancestors: Vec<_> = before.iter().map(Some).collect();
            let last = check_child(last.key(), Some(last), &ancestors, SOURCE, at(1)).unwrap();
            line.insert(0, child_of(&last, "{}", seed, 1).unwrap());
        }
        let ancestors: Vec<_> = line.iter().skip(1).map(Some).collect();
        let last = check_child(line[0].key(), Some(&line[0]), &ancestors, SOURCE, at(1)).unwrap();
        assert_eq!(
            child_of(&last, "{}", 99, 1).unwrap_err(),
            "a token has at most 8 ancestors; make an orphan, or use one of them"
        );
        let request = ChildRequest::default();
        let (_, orphan) = last.make_orphan(&request, &Limits::default(), &pepper(), &mut rng(5), at(1)).unwrap();
        assert!(orphan.is_orphan() && orphan.is_made());
        assert_eq!(orphan.expires(), at(3601));
    }

    #[test]
    fn a_child_ends_with_any_ancestor_and_is_refused_without_them() {
        let parent = login(&role(r#"{"name":"a","token-ttl":"10m"}"#), 1);
        let child = child_of(&good(&parent), "{}", 2, 1).unwrap();
        let other = login(&role(r#"{"name":"a"}"#), 3);
        let ask = |ancestors: &[Option<&TokenRecord>], now| {
            check_child(child.key(), Some(&child), ancestors, SOURCE, at(now)).map(drop)
        };
        assert_eq!(ask(&[Some(&parent)], 2), Ok(()));
        for ancestors in [&[][..], &[None], &[Some(&other)], &[Some(&parent), Some(&parent)]] {
            assert_eq!(ask(ancestors, 2), Err(Reason::ParentEnded));
        }
        assert_eq!(check(child.key(), Some(&child), SOURCE, at(2)), Err(Reason::ParentEnded));
    }

    #[test]
    fn what_a_parent_loses_its_child_loses() {
        let before = role(r#"{"name":"a","token-policies":["b","c"],"token-ttl":"30m"}"#);
        let parent = login(&before, 1);
        let child = child_of(&good(&parent), r#"{"ttl":"20m"}"#, 2, 1).unwrap();
        let after = r#"{"name":"a","token-policies":["b"],"token-ttl":"5m","token-bound-cidrs":["192.0.2.0/24"]}"#;
        let after = before.reconfigure(serde_json::from_str(after).unwrap()).unwrap();
        let parent = good(&parent).refresh(Owner::Role(&after), None, &Limits::default(), at(60)).unwrap();

        let checked = check_child(child.key(), Some(&child), &[Some(&parent)], SOURCE, at(61)).unwrap();
        assert_eq!(checked.policies(), [name("default"), name("b")]);
        assert_eq!(checked.record().expires(), at(360), "with its parent");
        let elsewhere = [198, 51, 100, 1].into();
        let refused = check_child(child.key(), Some(&child), &[Some(&parent)], elsewhere, at(61));
        assert_eq!(refused, Err(Reason::WrongAddress));

        // The role's longer life and other policies are not for the child; its parent's end is.
        let renewed = checked.refresh(Owner::Role(&before), Some(duration("1h")), &Limits::default(), at(120)).unwrap();
        assert_eq!(renewed.expires(), at(360));
        assert_eq!(renewed.policies(), [name("default"), name("b")]);
        assert_eq!(renewed.ancestors(), child.ancestors());
        let gone = checked.refresh(Owner::Gone, None, &Limits::default(), at(120));
        assert_eq!(gone, Err(Reason::Disabled), "it ends with its role as well");
    }

    #[test]
    fn a_counted_use_is_stored_without_what_the_ancestors_took() {
        let parent = login(&role(r#"{"name":"a","token-ttl":"10m"}"#), 1);
        let child = child_of(&good(&parent), r#"{"num-uses":1}"#, 2, 1).unwrap();
        let checked = check_child(child.key(), Some(&child), &[Some(&parent)], SOURCE, at(2)).unwrap();
        let crate::RecordChange::Update(changed) = checked.change() else { panic!("not counted") };
        assert_eq!(changed.uses_left(), Some(0));
        assert_eq!(TokenRecord::decode(&changed.encode().unwrap()).unwrap(), *changed);
        let again = check_child(changed.key(), Some(changed), &[Some(&parent)], SOURCE, at(2));
        assert_eq!(again, Err(Reason::UsedUp));
    }
}
