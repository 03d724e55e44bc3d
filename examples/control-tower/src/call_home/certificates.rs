//! Certificates to call home with: issued, on record, revoked.

use std::sync::{Arc, Mutex, PoisonError};

use keyward_callhome_cert::{Batch, Entry, Order};
use keyward_svid::{
    pki_types::CertificateRevocationListDer,
    x509::authority::{AuthorityRing, CertificateRequest, IssuedSvid, Issuer, KeyedSvid, RevocationList},
};
use time::{Duration, OffsetDateTime};

use super::{authority, sites};
use crate::{
    app::{App, Commit},
    db::Stored,
    http::{
        caller::Caller,
        error::{Answer, ApiError},
    },
    layout, moment, random,
    store::{Guard, Revision, Scan, Write},
};

/// For how long a certificate is on record after its end, so that what was revoked stays on lists until nobody's clock takes it for
/// valid.
const KEPT: Duration = Duration::DAY;

/// By when a revocation list is followed by the next, if nothing is revoked.
const LIST_LIFE: Duration = Duration::DAY;

/// How often a change is decided again because the records changed.
const TRIES: usize = 16;

/// A certificate, with its key unless it is for one that its owner keeps.
pub enum Issued {
    /// With a key that was made for it.
    Keyed(KeyedSvid),
    /// For the key of a certificate request.
    Requested(IssuedSvid),
}

impl Issued {
    /// The certificate.
    pub fn certificate(&self) -> &IssuedSvid {
        match self {
            Self::Keyed(keyed) => keyed.svid(),
            Self::Requested(svid) => svid,
        }
    }
}

/// Issues what was ordered. It is on record before it is answered.
///
/// # Errors
/// 422 when the authority refuses, there is no such site, or the batch is revoked; those of the store.
pub async fn issue(
    app: &App,
    caller: &Caller,
    order: &Order,
    request: Option<&CertificateRequest>,
) -> Answer<(Issued, Entry)> {
    for _ in 0..TRIES {
        let site = match order.scope().site() {
            Some(site) => Some(sites::there(app, site).await?),
            None => None,
        };
        let batch = match order.batch() {
            Some(batch) => Some(open_batch(app, order, batch).await?),
            None => None,
        };
        let ring = authority::authority(app).await?;
        let now = app.clock.now();
        let (issued, entry) = sign(&ring, order, request, now)?;
        let key = layout::call_home_certificate(&app.operators, entry.serial());
        let mut writes = Vec::from(put(app, key.clone(), &entry)?);
        let index = layout::call_home_batch(&app.operators, entry.batch());
        writes.push(Write::Put(format!("{index}{}", entry.serial()), Vec::new()));
        let audit = caller
            .actor()
            .did("issue-call-home-cert", now)
            .with("serial", entry.serial())
            .with("batch", entry.batch().as_str())
            .with("scope", entry.scope().to_string())
            .with("expires", moment::text(entry.expires()));
        let guards = Vec::from_iter([Guard::Absent(key)].into_iter().chain(site).chain(batch));
        if let Commit::Done(_) = app.commit(guards, writes, audit).await? {
            // The listener asks for certificates of this authority, which may be new.
            app.call_home.serving.refresh(app).await?;
            return Ok((issued, entry));
        }
    }
    Err(ApiError::unavailable("the site or the batch is being changed all the time; try again"))
}

/// Guards that a batch is not revoked: that something in it is not, which its revocation would change, or that there is nothing.
///
/// # Errors
/// 422 when it is.
async fn open_batch(app: &App, order: &Order, batch: &Batch) -> Answer<Guard> {
    let (prefix, since) = (layout::call_home_batch(&app.operators, batch), app.db.store().revision());
    let (mut scan, mut found) = (Scan::new(&**app.db.store(), &prefix), None::<Stored<Arc<Entry>>>);
    let is_open = |found: &Option<Stored<Arc<Entry>>>| found.as_ref().is_some_and(|one| one.value.revoked().is_none());
    'pages: while let Some(page) = scan.next().await? {
        for serial in page.iter().filter_map(|at| at.key.strip_prefix(&prefix)) {
            found = entry(app, serial).await?.or(found);
            if is_open(&found) {
                break 'pages;
            }
        }
    }
    order.check_batch(found.as_ref().map(|one| &*one.value))?;
    Ok(found.map_or(Guard::Unchanged { prefix, since }, |one| one.guard()))
}

fn sign(
    ring: &AuthorityRing,
    order: &Order,
    request: Option<&CertificateRequest>,
    now: OffsetDateTime,
) -> Answer<(Issued, Entry)> {
    let (authority, rng) = (ring.authority(now)?, &mut random::rng());
    Ok(match request {
        Some(request) => {
            let (svid, entry) = order.issue(&authority, request.public_key(), rng, now)?;
            (Issued::Requested(svid), entry)
        }
        None => {
            let (keyed, entry) = order.issue_with_key(&authority, rng, now)?;
            (Issued::Keyed(keyed), entry)
        }
    })
}

/// What stores an entry until nobody needs it.
pub(super) fn put(app: &App, key: String, entry: &Entry) -> Answer<[Write; 2]> {
    let bytes = entry.to_record()?;
    Ok(app.put_until(key, &bytes, kept_until(entry))?)
}

/// Until when it is on record.
pub(super) fn kept_until(entry: &Entry) -> OffsetDateTime {
    entry.expires().saturating_add(KEPT)
}

/// A certificate on record.
pub(super) async fn entry(app: &App, serial: &str) -> Answer<Option<Stored<Arc<Entry>>>> {
    Ok(app.db.load(&layout::call_home_certificate(&app.operators, serial), Entry::from_record).await?)
}

/// What is to be revoked.
pub enum Revocation {
    /// The certificate with this serial number.
    Serial(String),
    /// All of a batch.
    Batch(Batch),
}

/// Revokes; answers the serial numbers of what was not revoked before.
///
/// # Errors
/// 404 for what is not on record.
pub async fn revoke(app: &App, caller: &Caller, what: &Revocation) -> Answer<Vec<String>> {
    for _ in 0..TRIES {
        let now = app.clock.now();
        let (mut guards, mut writes, mut revoked, mut found) = (Vec::new(), Vec::new(), Vec::new(), false);
        let serials = match what {
            Revocation::Serial(serial) => vec![serial.clone()],
            Revocation::Batch(batch) => {
                // What is issued in it meanwhile is revoked, too.
                let (prefix, since) = (layout::call_home_batch(&app.operators, batch), app.db.store().revision());
                let names = Scan::new(&**app.db.store(), &prefix).names().await?;
                guards.push(Guard::Unchanged { prefix, since });
                names
            }
        };
        for serial in serials {
            let Some(stored) = entry(app, &serial).await? else { continue };
            found = true;
            let mut entry = Entry::clone(&stored.value);
            if entry.revoke(now) {
                guards.push(stored.guard());
                writes.extend(put(app, stored.key.clone(), &entry)?);
                writes.push(Write::Put(format!("{}{serial}", layout::call_home_revoked(&app.operators)), Vec::new()));
                revoked.push(serial);
            }
        }
        if !found {
            return Err(match what {
                Revocation::Serial(serial) => {
                    ApiError::not_found(format_args!("a call-home certificate with the serial number `{serial}`"))
                }
                Revocation::Batch(batch) => ApiError::not_found(format_args!("the batch `{batch}`")),
            });
        }
        if !revoked.is_empty() {
            writes.push(Write::Put(layout::call_home_revoked_head(&app.operators), Vec::new()));
        }
        let audit = caller.actor().did("revoke-call-home-cert", now).with("serials", revoked.clone());
        if let Commit::Done(_) = app.commit(guards, writes, audit).await? {
            return Ok(revoked);
        }
    }
    Err(ApiError::unavailable("the certificates are being used all the time; try again"))
}

/// What removes a record whose time has come, and what refers to it.
///
/// # Errors
/// The record is none.
pub fn removal(app: &App, record: &[u8], now: OffsetDateTime) -> Result<Vec<Write>, keyward_callhome_cert::Error> {
    let entry = Entry::from_record(record)?;
    if kept_until(&entry) > now {
        return Ok(Vec::new());
    }
    let (tenant, serial) = (&app.operators, entry.serial());
    Ok(vec![
        Write::Delete(layout::call_home_certificate(tenant, serial)),
        Write::Delete(format!("{}{serial}", layout::call_home_batch(tenant, entry.batch()))),
        Write::Delete(format!("{}{serial}", layout::call_home_revoked(tenant))),
    ])
}

/// The lists that were signed last, until they are too old or something was revoked.
#[derive(Default)]
pub(super) struct Lists(Mutex<Option<Signed>>);

type List = CertificateRevocationListDer<'static>;

#[derive(Clone)]
struct Signed {
    /// Of the authority, and of the last revocation.
    of: (Revision, Option<Revision>),
    at: OffsetDateTime,
    lists: Arc<[List]>,
}

/// The revocation lists, one of each version of the authority; none before there is one. What was revoked is read for a new one alone;
/// what expired leaves it with the next.
///
/// # Errors
/// Those of the store.
pub async fn revocation_lists(app: &App) -> Answer<Arc<[List]>> {
    let Some(ring) = authority::stored(app).await? else { return Ok(Arc::default()) };
    let now = app.clock.now();
    // Read first: what is revoked meanwhile makes another one the next time.
    let head = app.db.store().get(&layout::call_home_revoked_head(&app.operators)).await?;
    let of = (ring.revision, head.map(|head| head.revision));
    let kept = app.call_home.lists.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(kept) = kept.filter(|kept| kept.of == of)
        && (kept.at..kept.at.saturating_add(LIST_LIFE / 4)).contains(&now)
    {
        return Ok(kept.lists);
    }
    let mut entries = Vec::new();
    for serial in Scan::new(&**app.db.store(), &layout::call_home_revoked(&app.operators)).names().await? {
        entries.extend(entry(app, &serial).await?.map(|stored| stored.value));
    }
    // Microseconds since 1970: it grows from list to list.
    let number = u64::try_from(now.unix_timestamp_nanos() / 1000).unwrap_or(0);
    let list = |issuer: &Issuer| -> Answer<_> {
        let mut revoked = Vec::new();
        for entry in &entries {
            revoked.extend(entry.revocation(issuer.public_key())?);
        }
        Ok(RevocationList::new(number, revoked, now.saturating_add(LIST_LIFE)))
    };
    let lists: Arc<[List]> = ring.value.revocation_lists(list, now)?.into();
    let signed = Signed { of, at: now, lists: Arc::clone(&lists) };
    *app.call_home.lists.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(signed);
    Ok(lists)
}
