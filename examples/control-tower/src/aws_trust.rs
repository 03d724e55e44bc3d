//! What an operator enters at AWS so that it trusts a workload: an OIDC provider and the trust policy of an IAM role.

use std::collections::BTreeMap;

use keyward_spiffe_id::SpiffeId;
use keyward_svid::oidc::Issuer;
use serde::Serialize;
use serde_json::Value;

/// The audience of AWS STS.
pub const AUDIENCE: &str = "sts.amazonaws.com";

/// The AWS side of the federation, with its members in the order in which AWS writes them.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct AwsTrust {
    /// IAM → Identity providers → OpenID Connect → Provider URL.
    pub provider_url: String,
    /// The provider's audience.
    pub audience: &'static str,
    /// The one workload that the policy admits.
    pub subject: String,
    /// What to do about the field that older guides ask for.
    pub thumbprint_note: &'static str,
    /// The trust policy of the IAM role.
    pub trust_policy: TrustPolicy,
    /// What AWS would refuse.
    pub warnings: Vec<Value>,
}

/// An IAM policy document.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TrustPolicy {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: &'static str,
    principal: Principal,
    action: &'static str,
    condition: Condition,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Principal {
    federated: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    string_equals: BTreeMap<String, String>,
}

impl AwsTrust {
    /// For the tokens of one issuer about one workload, in an AWS account.
    pub fn new(issuer: &Issuer, subject: &SpiffeId, account: &str, warnings: Vec<Value>) -> Self {
        // AWS names a provider by its URL without the scheme.
        let provider = issuer.as_str().split_once("://").map_or(issuer.as_str(), |(_, rest)| rest);
        let conditions = [("aud", AUDIENCE), ("sub", subject.as_str())];
        let statement = Statement {
            effect: "Allow",
            principal: Principal { federated: format!("arn:aws:iam::{account}:oidc-provider/{provider}") },
            action: "sts:AssumeRoleWithWebIdentity",
            condition: Condition {
                string_equals: conditions.map(|(name, value)| (format!("{provider}:{name}"), value.to_owned())).into(),
            },
        };
        Self {
            provider_url: issuer.to_string(),
            audience: AUDIENCE,
            subject: subject.to_string(),
            thumbprint_note: "none is needed: AWS verifies the issuer's certificate by public CAs",
            trust_policy: TrustPolicy { version: "2012-10-17", statement: [statement] },
            warnings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_binds_exactly_one_workload() {
        let issuer = "https://tower.example/1f0e".parse().unwrap();
        let subject = "spiffe://tower.example/approle/payments".parse().unwrap();
        let trust = AwsTrust::new(&issuer, &subject, "123456789012", Vec::new());
        assert_eq!(
            serde_json::to_string(&trust.trust_policy).unwrap(),
            concat!(
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","#,
                r#""Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/tower.example/1f0e"},"#,
                r#""Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"#,
                r#""tower.example/1f0e:aud":"sts.amazonaws.com","#,
                r#""tower.example/1f0e:sub":"spiffe://tower.example/approle/payments"}}}]}"#
            )
        );
        assert_eq!(trust.provider_url, "https://tower.example/1f0e");
    }
}
