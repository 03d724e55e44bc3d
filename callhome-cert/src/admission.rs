//! Whether a host that calls home is let in.

use std::net::IpAddr;

use keyward_config_values::Name;
use keyward_keys::PublicKey;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    AgentVersion, CallHomeCertificate, CallHomeSettings, Entry, Granularity, HostHash, HostName, HostRecord, Refusal,
    Scope, Taken,
};

/// What became of a host that called home.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
#[non_exhaustive]
pub enum HostState {
    /// It waits for an operator.
    Unclaimed,
    /// It belongs to a site and gets its identity.
    Claimed {
        /// The site.
        site: Name,
    },
    /// An operator removed it.
    Removed,
}

/// A host at the door: what it brought, all of it verified.
#[derive(Debug, Clone, Copy)]
pub struct Knock<'a> {
    /// The hash of its host-id.
    pub host: &'a HostHash,
    /// The RFC 7638 thumbprint of the key that it owns and asks an identity for.
    pub key: &'a str,
    /// Its address.
    pub address: IpAddr,
    /// Its certificate, if it presented one.
    pub certificate: Option<&'a CallHomeCertificate>,
    /// Why what it presented as one does not count: what [`verify_presented`](crate::verify_presented) answers.
    pub refused: Option<&'a Refusal>,
    /// What it calls itself.
    pub host_name: Option<&'a HostName>,
    /// The version of its agent.
    pub agent_version: Option<&'a AgentVersion>,
}

impl<'a> Knock<'a> {
    /// Of a host that presents no certificate and says nothing of itself.
    pub fn new(host: &'a HostHash, key: &'a str, address: IpAddr) -> Self {
        Self { host, key, address, certificate: None, refused: None, host_name: None, agent_version: None }
    }
}

/// What a knock comes to, where it is not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The host is registered: it waits or it gets its identity, as the state of its record says. The records are to be stored
    /// together.
    Registered {
        /// The host.
        record: HostRecord,
        /// The certificate's record, where a use was taken.
        entry: Option<Entry>,
    },
    /// Another host has this host-id: this one is shown to operators, and refused with [`Refusal::Duplicate`].
    Duplicate {
        /// The duplicate, to be stored among the duplicates.
        record: HostRecord,
    },
}

/// What is on record of a host at the door.
///
/// A caller reads `host` and `listed` first, and asks what else there is to read: [`may_have_made_room`](Self::may_have_made_room), then
/// [`serial`](Self::serial) and [`site`](Self::site).
#[derive(Debug, Clone, Copy, Default)]
pub struct OnRecord<'a> {
    /// The record that is stored for its host-id.
    pub host: Option<&'a HostRecord>,
    /// What is remembered for its host-id of a host that waited, by a certificate, and had to make room for others.
    pub displaced: Option<&'a HostRecord>,
    /// The record of the certificate with [`serial`](Self::serial).
    pub entry: Option<&'a Entry>,
    /// The site whose document lists the host-id.
    pub listed: Option<&'a Name>,
    /// Whether there is no such [`site`](Self::site).
    pub is_site_gone: bool,
    /// The keys of the authorities whose certificates count, where a host relies on one that it came with before. What none of them
    /// issued counts no more: the authority that did was given up.
    pub authorities: &'a [PublicKey],
}

impl<'a> OnRecord<'a> {
    /// Whether the host may be one that had to make room, so that [`displaced`](Self::displaced) is of interest: one that presents
    /// nothing, where something is asked for, and that is not here.
    pub fn may_have_made_room(&self, settings: &CallHomeSettings, knock: &Knock<'_>) -> bool {
        let is_asked = settings.client_certificate.verify != Granularity::Never;
        is_asked && knock.certificate.is_none() && knock.refused.is_none() && self.own(knock).is_none()
    }

    /// The serial number of the certificate that a decision needs the record of: of the one that is presented, or of the one that the
    /// host came with when it was here before. Where an operator has decided none is needed.
    pub fn serial(&self, settings: &CallHomeSettings, knock: &Knock<'a>) -> Option<&'a str> {
        let came_with = match self.own(knock) {
            Some(record) if *record.state() != HostState::Unclaimed => return None,
            own => own.or(self.remembered(settings, knock)).and_then(HostRecord::certificate),
        };
        knock.certificate.map(CallHomeCertificate::serial).or(came_with)
    }

    /// The site for which alone an operator could claim a host that waits or comes to, where there is one: without it the host would wait
    /// for ever.
    pub fn site(&self, settings: &CallHomeSettings, knock: &Knock<'a>) -> Option<&'a Name> {
        if self.listed.is_some() {
            return None;
        }
        if let Some(record) = self.own(knock) {
            return record.bound_site().filter(|_| *record.state() == HostState::Unclaimed);
        }
        let remembered = self.remembered(settings, knock).and_then(HostRecord::bound_site);
        knock.certificate.and_then(|certificate| certificate.scope().site()).or(remembered)
    }

    /// The record of this very machine.
    fn own(&self, knock: &Knock<'_>) -> Option<&'a HostRecord> {
        self.host.filter(|record| record.key() == knock.key)
    }

    /// What is remembered of this very machine.
    fn remembered(&self, settings: &CallHomeSettings, knock: &Knock<'_>) -> Option<&'a HostRecord> {
        let displaced = self.displaced.filter(|_| self.may_have_made_room(settings, knock))?;
        (displaced.host() == knock.host && displaced.key() == knock.key).then_some(displaced)
    }

    /// The certificate's record, revoked where its authority was given up. What is presented was verified with those that there are.
    fn certificate(&self, settings: &CallHomeSettings, knock: &Knock<'a>, now: OffsetDateTime) -> Option<Entry> {
        let serial = self.serial(settings, knock)?;
        let mut entry = self.entry.filter(|entry| entry.serial() == serial)?.clone();
        if knock.certificate.is_none() {
            entry.revoke_unless_issued_by(self.authorities, now);
        }
        Some(entry)
    }
}

/// Decides. A host that is registered already, with the same key, comes again as often as it likes: what was lost on the way is
/// answered again, and nothing is used twice. A host that waited and had to make room comes back by what it came with, which it has
/// used up and may not have any more, for as long as that certificate would let it in.
///
/// # Errors
/// The reason of the refusal. Then nothing is to be stored.
pub fn decide(
    settings: &CallHomeSettings,
    knock: &Knock<'_>,
    on_record: OnRecord<'_>,
    now: OffsetDateTime,
) -> Result<Decision, Refusal> {
    let entry = on_record.certificate(settings, knock, now);
    match on_record.host {
        Some(record) if *record.state() == HostState::Removed => Err(Refusal::Removed),
        Some(record) if record.key() == knock.key => again(settings, record, knock, on_record, entry, now),
        _ => first(settings, knock, on_record, entry, now),
    }
}

/// The host has been here.
fn again(
    settings: &CallHomeSettings,
    record: &HostRecord,
    knock: &Knock<'_>,
    on_record: OnRecord<'_>,
    entry: Option<Entry>,
    now: OffsetDateTime,
) -> Result<Decision, Refusal> {
    match knock.refused {
        // Who waits for an operator may wait for longer than its certificate lives, or is asked for.
        None | Some(Refusal::Expired { .. } | Refusal::Unwanted) => {}
        Some(refusal) => return Err(refusal.clone()),
    }
    let (mut record, mut used) = (record.clone().seen(knock, now), None);
    if *record.state() == HostState::Unclaimed {
        // Who came in with a certificate that was revoked since is not claimed any more.
        if entry.as_ref().is_some_and(|entry| entry.revoked().is_some()) {
            return Err(Refusal::Revoked);
        }
        if on_record.is_site_gone {
            return Err(Refusal::NoSite);
        }
        if let Some(site) = on_record.listed {
            used = listed_since(settings, knock, entry, site, now)?;
            record = record.claim(site.clone()).map_err(|_| Refusal::WrongSite)?;
        }
    }
    Ok(Decision::Registered { record, entry: used })
}

/// A host that waits is claimed by a list, without an operator who looks at it: so it has, or came with, what is asked for by now. Whoever
/// was let in with less holds a host-id, not a place on the list. Answers the record of a certificate that is used by that.
fn listed_since(
    settings: &CallHomeSettings,
    knock: &Knock<'_>,
    entry: Option<Entry>,
    listed: &Name,
    now: OffsetDateTime,
) -> Result<Option<Entry>, Refusal> {
    let verify = settings.client_certificate.verify;
    if verify == Granularity::Never {
        return Ok(None);
    }
    let scope = entry.as_ref().map(Entry::scope);
    verify.admit_scope(scope, knock.host)?;
    if scope.and_then(Scope::site).is_some_and(|site| site != listed) {
        return Err(Refusal::WrongSite);
    }
    match (knock.certificate, entry) {
        (Some(_), Some(mut entry)) => Ok((entry.take(knock.host, knock.key, now)? == Taken::First).then_some(entry)),
        _ => Ok(None),
    }
}

/// The host was never here, or had to make room, or another one with its host-id was.
fn first(
    settings: &CallHomeSettings,
    knock: &Knock<'_>,
    on_record: OnRecord<'_>,
    entry: Option<Entry>,
    now: OffsetDateTime,
) -> Result<Decision, Refusal> {
    if let Some(refusal) = knock.refused {
        return Err(refusal.clone());
    }
    let remembered = on_record.remembered(settings, knock);
    let is_known = on_record.host.is_some();
    let serial = on_record.serial(settings, knock);
    let came_with = entry.as_ref().filter(|_| remembered.is_some()).map(Entry::scope);
    let scope = knock.certificate.map(CallHomeCertificate::scope).or(came_with);
    settings.client_certificate.verify.admit_scope(scope, knock.host)?;
    let bound_site = scope.and_then(Scope::site).cloned();
    let state = match on_record.listed {
        Some(site) => HostState::Claimed { site: site.clone() },
        None if settings.enable_unclaimed => HostState::Unclaimed,
        None => return Err(Refusal::UnclaimedDisabled),
    };
    let mut record = HostRecord::new(knock, state, now);
    if let Some(remembered) = remembered {
        record = record.first_seen_with(remembered);
    }
    let mut changed = None;
    if let Some(serial) = serial {
        let mut entry = entry.ok_or(Refusal::Unknown)?;
        if let (Some(bound), Some(listed)) = (&bound_site, on_record.listed)
            && bound != listed
        {
            return Err(Refusal::WrongSite);
        }
        record = record.with_certificate(serial, bound_site.as_ref());
        match entry.take(knock.host, knock.key, now) {
            Ok(Taken::First) => changed = Some(entry),
            Ok(Taken::Again) => {}
            // The one that has the host-id has used it up: this one is a duplicate, and shown as one.
            Err(Refusal::AlreadyUsed) if is_known => {
                return Ok(Decision::Duplicate { record: record.unclaimed() });
            }
            Err(refusal) => return Err(refusal),
        }
    }
    if on_record.is_site_gone {
        return Err(Refusal::NoSite);
    }
    if is_known {
        return Ok(Decision::Duplicate { record: record.unclaimed() });
    }
    Ok(Decision::Registered { record, entry: changed })
}
