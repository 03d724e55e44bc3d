//! The tower's no: `{"errors":[{"error-message": "…", "error-info": {"code": "…"}}]}`.

use std::fmt;

use keyward_callhome_cert::RefusalAnswer;

/// What to do about an identity that is over.
pub(crate) const CALL_HOME_AGAIN: &str =
    "call home again: `edge-agent run` does so by itself, else run `edge-agent call-home`";

/// A refusal in the tower's own words, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(RefusalAnswer);

impl Refusal {
    /// Reads the body of an answer that is no success; `None` for one that is not a tower's.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        RefusalAnswer::read(body).map(Self)
    }

    /// The tower's word for it, which does not change.
    pub(crate) fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Whether an operator removed the host.
    pub(crate) fn is_removal(&self) -> bool {
        self.code() == Some("removed")
    }

    /// Whether the identity that was shown counts no more. What says nothing about it, such as that none arrived, is no reason to
    /// give it up.
    pub(crate) fn ends_identity(&self) -> bool {
        matches!(self.code(), Some("removed" | "not-registered" | "other-site" | "other-key" | "bad-svid"))
    }

    /// Whether the certificate that was shown is of no use to this host any more, whatever an operator does: it is over, it is used
    /// up, or it is for somebody else. What may not have arrived as it was sent says nothing of it.
    pub(crate) fn ends_certificate(&self) -> bool {
        matches!(
            self.code(),
            Some("expired" | "revoked" | "already-used" | "unknown" | "too-broad" | "wrong-host" | "wrong-site")
        )
    }

    /// What to do, for somebody at the host.
    pub(crate) fn remedy(&self) -> Option<&str> {
        let new_script = "have an operator issue a new install script for this host, and run it";
        if self.ends_certificate() {
            return Some(new_script);
        }
        Some(match self.code()? {
            "missing" | "malformed" | "not-for-call-home" | "unknown-authority" | "no-scope" => new_script,
            "wrong-listener" => "run a new install script, or name the place to call home with --tower-url and --ca",
            "unwanted" => {
                "remove certificate.pem and key.pem from call-home/ in the state directory, and call home again"
            }
            "not-yet-valid" => "set the clock of this host or of the tower, and call home again",
            "duplicate" => {
                "if this is the right host, have an operator release the other one; else give this one an id of its own with --host-id-file"
            }
            "removed" => "if that was a mistake, have an operator release the host, and run a new install script",
            "not-registered" | "other-site" | "bad-svid" => CALL_HOME_AGAIN,
            "other-key" => "have an operator release the host, and run a new install script",
            "no-svid" => {
                "have an operator see to it that connections of hosts reach the tower's API as they are: whatever ends TLS in between takes the SVID off"
            }
            "bad-csr" => "look at key.pem in the state directory, and whether agent and tower are of versions that fit",
            "no-site" => "have an operator create the site again, or issue a new install script for another one",
            "unclaimed-disabled" => "have an operator list the host-id at a site, and call home again",
            "header-from-stranger" | "header-unexpected" | "header-repeated" | "header-malformed" | "disagree" => {
                "have an operator compare the load balancer with the tower's call-home settings (lb-mode, lb-addresses)"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match self.code() {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Refusal> {
        Refusal::read(body.as_bytes())
    }

    #[test]
    fn the_towers_words_are_kept() {
        let refusal = read(r#"{"errors":[{"error-message":"it expired","error-info":{"code":"expired"}}]}"#).unwrap();
        assert_eq!(refusal.to_string(), "it expired (expired)");
        assert!(refusal.remedy().unwrap().contains("new install script") && !refusal.is_removal());
        assert_eq!(read(r#"{"errors":[{"error-message":"no"}]}"#).unwrap().remedy(), None);
    }

    #[test]
    fn a_certificate_is_given_up_when_nothing_can_mend_it() {
        let of = |code: &str| {
            read(&format!(r#"{{"errors":[{{"error-message":"no","error-info":{{"code":"{code}"}}}}]}}"#)).unwrap()
        };
        for code in ["expired", "revoked", "already-used", "unknown", "too-broad", "wrong-host", "wrong-site"] {
            assert!(of(code).ends_certificate() && of(code).remedy().unwrap().contains("new install script"), "{code}");
        }
        for code in
            ["missing", "unwanted", "not-yet-valid", "unknown-authority", "disagree", "duplicate", "removed", "no-site"]
        {
            assert!(!of(code).ends_certificate() && of(code).remedy().is_some(), "{code}");
        }
    }

    #[test]
    fn what_is_not_a_towers_is_no_refusal() {
        for body in ["", "<html>", "{}", r#"{"errors":[]}"#, r#"{"errors":["no"]}"#] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
