//! No operation lists everything: what a login, a page and a step of the sweep read and write does not depend on how much there is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use control_tower::{
    clock::Clock,
    layout,
    store::{Entry, Fut, Guard, Memory, Note, Outcome, Revision, Store, StoreError, Watch, Write},
    tasks,
};
use serde_json::{Value, json};
use support::{START, Tower, WALK};
use time::{Duration, OffsetDateTime};

/// A store that counts what is asked of it.
struct Counting {
    inner: Memory,
    gets: AtomicUsize,
    ranges: AtomicUsize,
    rows: AtomicUsize,
    /// The most rows of one range.
    largest_range: AtomicUsize,
    written: AtomicUsize,
    /// The most writes of one commit.
    largest_commit: AtomicUsize,
}

/// What was asked: single records, ranges, rows of them, the most rows of one, writes, the most writes of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    gets: usize,
    ranges: usize,
    rows: usize,
    largest_range: usize,
    written: usize,
    largest_commit: usize,
}

impl Counting {
    fn new() -> Self {
        let zero = AtomicUsize::default;
        Self {
            inner: Memory::new(),
            gets: zero(),
            ranges: zero(),
            rows: zero(),
            largest_range: zero(),
            written: zero(),
            largest_commit: zero(),
        }
    }

    /// What was asked since the last call.
    fn take(&self) -> Asked {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::SeqCst);
        Asked {
            gets: take(&self.gets),
            ranges: take(&self.ranges),
            rows: take(&self.rows),
            largest_range: take(&self.largest_range),
            written: take(&self.written),
            largest_commit: take(&self.largest_commit),
        }
    }
}

impl Store for Counting {
    fn get<'a>(&'a self, key: &'a str) -> Fut<'a, Option<Entry>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.inner.get(key)
    }

    fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
        at: Option<Revision>,
    ) -> Fut<'a, Vec<Entry>> {
        Box::pin(async move {
            let entries = self.inner.range(prefix, after, limit, at).await?;
            self.ranges.fetch_add(1, Ordering::SeqCst);
            self.rows.fetch_add(entries.len(), Ordering::SeqCst);
            self.largest_range.fetch_max(entries.len(), Ordering::SeqCst);
            Ok(entries)
        })
    }

    fn commit<'a>(&'a self, guards: Vec<Guard>, writes: Vec<Write>) -> Fut<'a, Outcome> {
        self.written.fetch_add(writes.len(), Ordering::SeqCst);
        self.largest_commit.fetch_max(writes.len(), Ordering::SeqCst);
        self.inner.commit(guards, writes)
    }

    fn notes<'a>(&'a self, outbox: &'a str, after: Revision, limit: usize) -> Fut<'a, Vec<Note>> {
        self.inner.notes(outbox, after, limit)
    }

    fn forget_notes<'a>(&'a self, outbox: &'a str, to: Revision) -> Fut<'a, ()> {
        self.inner.forget_notes(outbox, to)
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        self.inner.watch(prefix, from)
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn compact<'a>(&'a self, now: OffsetDateTime) -> Fut<'a, Revision> {
        self.inner.compact(now)
    }

    fn syncs(&self) -> u64 {
        self.inner.syncs()
    }

    fn health(&self) -> Result<(), StoreError> {
        self.inner.health()
    }
}

/// A tower with so many AppRoles and policies, and so many secret-ids and tokens of one of them.
async fn with(records: usize) -> (Tower, Arc<Counting>, String, (String, String)) {
    let store = Arc::new(Counting::new());
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let tower = Tower::over(store.clone(), Clock::fixed(START), directory).await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &WALK.replace("rsa-2048", "ecdsa-p256")).await.ok();
    let mut yaml = Vec::new();
    for n in 0..records {
        yaml.push(format!(
            "x-path: strongbox/authentication/approles/role-{n:04}\nx-operation: create\nname: role-{n:04}\n"
        ));
        yaml.push(format!("x-path: strongbox/policies/policy-{n:04}\nx-operation: create\nname: policy-{n:04}\n"));
    }
    tower.bulk(&admin, &yaml.join("---\n")).await.ok();
    let mut last = None;
    for _ in 0..records {
        let secret = tower.secret(&admin, "payments", json!({})).await;
        tower.log_in(&secret.0, &secret.1).await.ok();
        last = Some(secret);
    }
    (tower, store, admin, last.unwrap())
}

#[tokio::test]
async fn a_login_and_a_call_ask_for_the_same_whatever_there_is() {
    let mut asked = Vec::new();
    for records in [4, 300] {
        let (tower, store, admin, (role_id, secret_id)) = with(records).await;
        store.take();
        let login = tower.log_in(&role_id, &secret_id).await.ok();
        let of_login = store.take();
        assert!(of_login.gets <= 8 && of_login.ranges == 0, "{of_login:?}");
        // The token by its key and by its accessor, the end of it, and the audit record.
        assert_eq!(of_login.written, 4, "{of_login:?}");
        tower.get("/v1/state/strongbox/token", login["token"].as_str().unwrap()).await.ok();
        let of_call = store.take();
        tower.post("/v1/state/strongbox/token/refresh", login["token"].as_str().unwrap(), json!({})).await.ok();
        let of_refresh = store.take();
        tower.log_in(&role_id, "wrong").await.refused(401);
        let of_refusal = store.take();
        tower.secret(&admin, "payments", json!({})).await;
        let of_secret = store.take();
        tower.get("/v1/state/audit?limit=5", &admin).await.ok();
        asked.push([of_login, of_call, of_refresh, of_refusal, of_secret, store.take()]);
    }
    assert_eq!(asked[0], asked[1]);
}

#[tokio::test]
async fn what_ends_at_once_is_removed_in_small_steps() {
    let (tower, store, ..) = with(300).await;
    store.take();
    // The tokens of all.
    tower.pass(Duration::days(400)).await;
    tasks::run_due(&tower.app).await;
    let asked = store.take();
    assert!(asked.written >= 3 * 300, "{asked:?}");
    // A step has at most 256 ends, each of a record with its index.
    assert!(asked.largest_range <= 256 && asked.largest_commit <= 3 * 256, "{asked:?}");
    store.take();
    tasks::run_due(&tower.app).await;
    let idle = store.take();
    assert!(idle.written <= 16, "{idle:?}");
}

/// A tower with so many keys and authorities that rotate, and so many other tenants; and the administrator of it.
async fn rotating(store: Arc<Counting>, records: usize) -> (Tower, String) {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let tower = Tower::over(store, Clock::fixed(START), directory).await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &WALK.replace("rsa-2048", "ecdsa-p256")).await.ok();
    let mut yaml = Vec::new();
    for n in 0..records {
        let schedule =
            "auto-rotate: {rotate-after: 90d, activate-after: 1d, deprecate-after: 2d, invalidate-after: 2d}";
        yaml.push(format!("x-path: strongbox/transit-keys/key-{n:04}\nx-operation: create\n{schedule}\n"));
        yaml.push(format!("x-path: system/ca/ca-{n:04}\nx-operation: create\nttl: 90d\n"));
        yaml.push(format!("x-path: tenants/tenant-{n:04}\nx-operation: create\n"));
    }
    let early = "auto-rotate: {rotate-after: 20d, activate-after: 1d, deprecate-after: 2d, invalidate-after: 2d}";
    yaml.push(format!("x-path: strongbox/transit-keys/early\nx-operation: create\n{early}\n"));
    tower.bulk(&admin, &yaml.join("---\n")).await.ok();
    (tower, admin)
}

async fn versions(tower: &Tower, admin: &str, key: &str) -> usize {
    let state = tower.get(&format!("/v1/state/strongbox/transit-keys/{key}"), admin).await.ok();
    state["versions"].as_array().unwrap().len()
}

#[tokio::test]
async fn tasks_read_what_is_due_whatever_there_is() {
    let mut asked = Vec::new();
    for records in [3, 120] {
        let store = Arc::new(Counting::new());
        let (tower, _) = rotating(store.clone(), records).await;
        // What was just made is looked at once more.
        tower.pass(Duration::SECOND).await;
        let mut all = Vec::new();
        for passed in [Duration::SECOND, Duration::days(20), Duration::SECOND] {
            assert!(tower.app.clock.advance(passed));
            store.take();
            tasks::run_due(&tower.app).await;
            all.push(store.take());
        }
        assert!(all.iter().all(|asked| asked.gets + asked.rows <= 100), "{all:?}");
        let admin = tower.administrator().await;
        assert_eq!((versions(&tower, &admin, "early").await, versions(&tower, &admin, "key-0001").await), (2, 1));
        asked.push(all);
    }
    assert_eq!(asked[0], asked[1]);
}

#[tokio::test]
async fn what_an_earlier_program_wrote_is_found_from_the_first_start_on() {
    let store = Arc::new(Counting::new());
    let (mut tower, admin) = rotating(store.clone(), 3).await;
    let partner = json!({
        "trust-domain": "other.example",
        "bundle-endpoint-url": "https://127.0.0.1:1/bundle",
        "bundle-endpoint-profile": "https_web",
    });
    tower.call("PUT", "/v1/config/federation/other.example", Some(&admin), Some(partner)).await.ok();
    let (role_id, secret_id) = tower.secret(&admin, "payments", json!({})).await;
    tower.log_in(&role_id, &secret_id).await.ok();
    let role = layout::role(&tower.tenant().parse().unwrap(), "payments");
    let accessors = layout::secret_id_accessors(&tower.tenant().parse().unwrap(), "payments");
    assert_eq!(store.range(&accessors, None, 9, None).await.unwrap().len(), 1);
    // The role went when nothing swept up behind it, and nothing has the entries by which it is found now.
    let mut gone = vec![Write::Delete(role), Write::Delete(layout::INDEXED.to_owned())];
    for prefix in [layout::DUE, layout::WITH_FEDERATION] {
        let entries = store.range(prefix, None, 1000, None).await.unwrap();
        assert!(!entries.is_empty(), "{prefix}");
        gone.extend(entries.into_iter().map(|entry| Write::Delete(entry.key)));
    }
    let Outcome::Committed(_) = store.commit(Vec::new(), gone).await.unwrap() else { panic!() };
    let directory = Arc::clone(&tower.directory);
    let mut again = Tower::over(store.clone(), Clock::fixed(START + Duration::days(20)), directory).await;
    again.credentials = tower.credentials.take();
    again.pass(Duration::SECOND).await;
    let admin = again.administrator().await;
    assert_eq!(versions(&again, &admin, "early").await, 2);
    assert_eq!(store.range(layout::WITH_FEDERATION, None, 9, None).await.unwrap().len(), 1);
    assert!(store.range(&accessors, None, 9, None).await.unwrap().is_empty());
    assert!(store.get(layout::INDEXED).await.unwrap().is_some());
}

/// A tower with so many documents of each of several collections, and what an operator's changes ask for there, by name.
async fn changes_among(documents: usize) -> Vec<(String, Asked)> {
    let store = Arc::new(Counting::new());
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let tower = Tower::over(store.clone(), Clock::fixed(START), directory).await;
    let admin = tower.administrator().await;
    tower.bulk(&admin, &WALK.replace("rsa-2048", "ecdsa-p256")).await.ok();
    let numbers: Vec<usize> = (0..documents).collect();
    for numbers in numbers.chunks(250) {
        let mut yaml = Vec::new();
        for n in numbers {
            let jwt = "token-spiffe-jwt: {jwt-audiences: [a.example], ttl: 1h}";
            yaml.push(format!(
                "x-path: strongbox/authentication/approles/role-{n:05}\nx-operation: create\ntoken-policies: [policy-{n:05}]\n{jwt}\n"
            ));
            yaml.push(format!(
                "x-path: strongbox/policies/policy-{n:05}\nx-operation: create\nrest-api: {{rules: [{{path: '/v1/${{region}}/{n}', operations: {{read: allow}}}}]}}\n"
            ));
            yaml.push(format!(
                "x-path: strongbox/transit-keys/key-{n:05}\nx-operation: create\ndeletion-allowed: true\n"
            ));
            yaml.push(format!("x-path: variables/variable-{n:05}\nx-operation: create\nvalue: x\n"));
        }
        tower.bulk(&admin, &yaml.join("---\n")).await.ok();
    }
    let own = json!({"name": "region", "value": "eu"});
    tower.post("/v1/config/variables", &admin, own).await.ok();
    let rules = json!([{"path": "/v1/${zone}", "operations": {"read": "allow"}}]);
    let policy = json!({"name": "zones", "rest-api": {"rules": rules}});
    tower.post("/v1/config/variables", &admin, json!({"name": "zone", "value": "a"})).await.ok();
    tower.post("/v1/config/strongbox/policies", &admin, policy).await.ok();
    tower
        .post(
            "/v1/config/strongbox/authentication/approles",
            &admin,
            json!({"name": "worker", "token-policies": ["zones"]}),
        )
        .await
        .ok();
    let (role_id, secret_id) = tower.secret(&admin, "worker", json!({})).await;
    let worker = tower.log_in(&role_id, &secret_id).await.ok()["token"].as_str().unwrap().to_owned();

    let role = "/v1/config/strongbox/authentication/approles";
    let jwt = json!({"token-spiffe-jwt": {"jwt-audiences": ["a.example"], "ttl": "2h"}});
    let rotate = json!({"auto-rotate": {"rotate-after": "31d"}});
    let rules = json!({"rest-api": {"rules": [{"path": "/v1/${zone}/x", "operations": {"read": "allow"}}]}});
    let changes = [
        ("PATCH", format!("{role}/role-00003"), json!({"token-ttl": "10m"})),
        ("PATCH", format!("{role}/worker"), jwt.clone()),
        ("PUT", format!("{role}/new"), jwt),
        ("DELETE", format!("{role}/new"), Value::Null),
        ("PATCH", "/v1/config/strongbox/policies/zones".to_owned(), rules),
        ("DELETE", "/v1/config/strongbox/policies/policy-00002".to_owned(), Value::Null),
        ("DELETE", "/v1/config/variables/zone".to_owned(), Value::Null),
        ("PUT", "/v1/config/strongbox/transit-keys/another".to_owned(), json!({"deletion-allowed": true})),
        ("DELETE", "/v1/config/strongbox/transit-keys/key-00004".to_owned(), Value::Null),
        ("PATCH", "/v1/config/strongbox/transit-keys/spiffe-jwt".to_owned(), rotate),
        (
            "PATCH",
            "/v1/config/strongbox/authentication/spiffe-settings".to_owned(),
            json!({"trust-domain": "other.example"}),
        ),
    ];
    let mut asked = Vec::new();
    for (method, path, body) in changes {
        for query in ["?validate=true", ""] {
            store.take();
            let body = Some(body.clone()).filter(|body| !body.is_null());
            let answer = tower.call(method, &format!("{path}{query}"), Some(&admin), body).await.ok();
            asked.push((format!("{method} {path}{query}"), store.take()));
            if path.ends_with("variables/zone") {
                let warning = answer["warnings"][0]["warning"].as_str().unwrap_or_default();
                assert!(warning.starts_with("`${zone}` has no value"), "{answer}");
            }
        }
        // What somebody else asks next, whose policies may have changed.
        store.take();
        tower.get("/v1/state/strongbox/token", &worker).await.ok();
        asked.push((format!("a call after {method} {path}"), store.take()));
    }
    // A key that is needed, and one whose life is too short for the tokens of one of many roles.
    let key = "/v1/config/strongbox/transit-keys/spiffe-jwt";
    let short = json!({"auto-rotate": {"deprecate-after": "61m", "invalidate-after": "62m"}});
    for (method, body, status, text) in [
        ("DELETE", None, 409, "needed by `strongbox/authentication/spiffe-settings`"),
        ("PATCH", Some(short), 400, "tokens of the role `"),
    ] {
        store.take();
        let refused = tower.call(method, key, Some(&admin), body).await.refused(status);
        assert!(refused.contains(text), "{refused}");
        asked.push((format!("{method} {key}, refused"), store.take()));
    }
    asked
}

#[tokio::test]
async fn a_change_asks_for_what_it_is_about_whatever_there_is() {
    let many = if std::env::var_os("KEYWARD_FULL").is_some() { 5000 } else { 500 };
    let (few, many) = (changes_among(10).await, changes_among(many).await);
    for (few, many) in few.iter().zip(&many) {
        assert_eq!(few, many);
        assert!(few.1.gets + few.1.rows <= 60, "{few:?}");
    }
}

#[tokio::test]
async fn relationships_and_tenants_are_answered_in_pages() {
    let store = Arc::new(Counting::new());
    let (tower, admin) = rotating(store.clone(), 40).await;
    let mut yaml = Vec::new();
    for n in 0..40 {
        yaml.push(format!(
            "x-path: federation/td-{n:02}.example\nx-operation: create\nbundle-endpoint-url: https://127.0.0.1:1/{n}\nbundle-endpoint-profile: https_web\n"
        ));
    }
    tower.bulk(&admin, &yaml.join("---\n")).await.ok();
    for (path, list, name, most) in
        [("/v1/state/federation", "relationships", "trust-domain", 40), ("/v1/state/tenants", "tenants", "name", 41)]
    {
        let (mut names, mut next) = (Vec::new(), Some(format!("{path}?limit=15")));
        while let Some(page) = next.take() {
            store.take();
            let reply = tower.get(&page, &admin).await;
            assert!(store.take().largest_range <= 16, "{page}");
            let answer = reply.ok();
            let some = answer[list].as_array().unwrap();
            assert!(some.len() <= 15);
            names.extend(some.iter().map(|one| one[name].as_str().unwrap().to_owned()));
            next = reply.headers.get("link").map(|link| {
                let link = link.to_str().unwrap();
                format!("{}&limit=15", &link[1..link.find('>').unwrap()])
            });
        }
        assert!(names.is_sorted() && names.len() == most, "{path}: {names:?}");
    }
}

/// The names of all pages, each with at most `limit`.
async fn pages(tower: &Tower, store: &Counting, path: &str, admin: &str, limit: usize) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut next = Some(format!("{path}?limit={limit}"));
    while let Some(page) = next.take() {
        store.take();
        let reply = tower.get(&page, admin).await;
        let asked = store.take();
        assert!(asked.rows <= limit + 1 + 16 && asked.largest_range <= 64, "{page}: {asked:?}");
        let some: Vec<String> = serde_json::from_value(reply.ok()).unwrap();
        assert!(some.len() <= limit);
        names.extend(some);
        next = reply.headers.get("link").map(|link| {
            let link = link.to_str().unwrap();
            let (address, relation) = link.strip_prefix('<').unwrap().split_once(">; ").unwrap();
            assert_eq!(relation, "rel=\"next\"");
            format!("{address}&limit={limit}")
        });
    }
    names
}

#[tokio::test]
async fn collections_are_read_in_pages_as_of_one_moment() {
    let (tower, store, admin, _) = with(200).await;
    let roles = "/v1/config/strongbox/authentication/approles";
    let all: Vec<String> = serde_json::from_value(tower.get(roles, &admin).await.ok()).unwrap();
    assert_eq!(all.len(), 201);
    for limit in [1, 7, 64, 65, 200, 201] {
        assert_eq!(pages(&tower, &store, roles, &admin, limit).await, all, "{limit}");
    }
    // The second page is of the moment of the first.
    let first = tower.get(&format!("{roles}?limit=100"), &admin).await;
    let link = first.headers["link"].to_str().unwrap().split_once('>').unwrap().0[1..].to_owned();
    tower.call("DELETE", &format!("{roles}/role-0150"), Some(&admin), None).await.ok();
    let mut both: Vec<String> = serde_json::from_value(first.ok()).unwrap();
    both.extend(serde_json::from_value::<Vec<String>>(tower.get(&link, &admin).await.ok()).unwrap());
    assert_eq!(both, all);
    assert_eq!(tower.get(&format!("{roles}?at=99999999"), &admin).await.status, 400);

    // Clients of Vault have no `Link`, and are told in words.
    for (path, count) in
        [("auth/approle/role", 201), ("sys/policies/acl", 203), ("auth/approle/role/payments/secret-id", 200)]
    {
        let list = async |query: &str| {
            store.take();
            let reply = tower.call("LIST", &format!("/v1/{path}{query}"), Some(&admin), None).await.ok();
            let asked = store.take();
            assert!(asked.largest_range <= 64, "{path}: {asked:?}");
            reply
        };
        let names = |reply: &Value| serde_json::from_value::<Vec<String>>(reply["data"]["keys"].clone()).unwrap();
        let whole = names(&list("").await);
        assert!(whole.len() >= count - 1 && whole.is_sorted(), "{path}: {}", whole.len());
        let page = list("?limit=50").await;
        let some = names(&page);
        assert_eq!(some[..50], whole[..50]);
        assert!(page["warnings"][0].as_str().unwrap().contains("there are more names"), "{page}");
        let rest = names(&list(&format!("?after={}", some.last().unwrap())).await);
        assert_eq!([some, rest].concat(), whole, "{path}");
    }
}
