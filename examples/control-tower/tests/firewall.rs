//! Firewalls in the configuration: ingress inside of resource profiles, site by site, and one tenant's mistakes its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

mod support;

use control_tower::firewall::Documents;
use serde_json::{Value, json};
use support::{Reply, Tower};

/// Two sites, a profile, and a firewall.
const SITES: &str = "
x-path: system/sites/north
x-operation: create
name: north
variables: { site-number: 7 }
---
x-path: system/sites/south
x-operation: create
name: south
variables: { site-number: 8 }
---
x-path: resource-profiles/small
x-operation: create
name: small
ingress: { ranges: ['10.${site-number}.0.0/24'], protocols: [tcp], ports: [80, 8000-8999] }
---
x-path: firewall
x-operation: replace
workload-interfaces: [kw*]
control-inbound: ['10.${site-number}.255.1 tcp 4647']
rest: drop-workloads
max-ranges: 20
";

struct World {
    tower: Tower,
    operator: String,
}

impl World {
    async fn new() -> Self {
        let tower = Tower::fresh().await;
        let operator = tower.administrator().await;
        tower.bulk(&operator, SITES).await.ok();
        Self { tower, operator }
    }

    /// A tenant with a profile, and its administrator's token.
    async fn tenant(&self, name: &str) -> String {
        let tenant = json!({"name": name, "resource-profile": "small"});
        self.tower.post("/v1/config/tenants", &self.operator, tenant).await.ok();
        let reset =
            self.tower.post(&format!("/v1/state/tenants/{name}/reset-admin"), &self.operator, json!({})).await.ok();
        let body = json!({"tenant": name, "username": "admin", "password": reset["password"]});
        let login = self.tower.call("POST", "/v1/login", None, Some(body)).await.ok();
        login["token"].as_str().unwrap().to_owned()
    }

    async fn put(&self, token: &str, path: &str, document: Value) -> Reply {
        self.tower.call("PUT", &format!("/v1/config/{path}"), Some(token), Some(document)).await
    }

    async fn ingress(&self, token: &str, name: &str, range: &str) -> Reply {
        let document = json!({"name": name, "application": "not-there-yet", "ranges": [range]});
        self.put(token, &format!("ingress/{name}"), document).await
    }

    /// What a host of a site loads.
    async fn host(&self, site: &str) -> Value {
        let documents = Documents::load(&self.tower.app, None).await.unwrap();
        let host = documents.of_host(&documents.sites[site]).unwrap();
        host.firewall().unwrap();
        serde_json::to_value(host).unwrap()
    }

    async fn ranges(&self, site: &str) -> Vec<String> {
        let host = self.host(site).await;
        let ranges = |ingress: &Value| ingress["ranges"].as_array().unwrap().clone();
        let all = host["ingress"].as_array().unwrap().iter().flat_map(ranges);
        all.map(|range| range.as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_dry_run_shows_what_the_ranges_come_to_at_each_site() {
    let world = World::new().await;
    let acme = world.tenant("acme").await;
    let web = json!({
        "name": "web", "application": "shop", "protocols": ["tcp"], "ports": [80, 8080],
        "ranges": ["10.${site-number}.0.10-10.${site-number}.0.19"],
    });
    let expected = json!({
        "north": {"count": 2, "ranges": ["10.7.0.10-10.7.0.19 tcp 80", "10.7.0.10-10.7.0.19 tcp 8080"]},
        "south": {"count": 2, "ranges": ["10.8.0.10-10.8.0.19 tcp 80", "10.8.0.10-10.8.0.19 tcp 8080"]},
    });
    let dry = world.put(&acme, "ingress/web?validate=true", web.clone()).await.ok();
    assert_eq!((&dry["documents"][0]["sites"], &dry["dry-run"]), (&expected, &json!(true)));
    world.tower.get("/v1/config/ingress/web", &acme).await.refused(404);
    world.put(&acme, "ingress/web", web.clone()).await.ok();
    // Also of what is there already.
    let again = world.put(&acme, "ingress/web?validate=true", web).await.ok();
    assert_eq!((&again["documents"][0]["sites"], &again["changed"]), (&expected, &json!(false)));
    let profile = world.tower.get("/v1/config/resource-profiles/small", &world.operator).await.ok();
    let dry = world.put(&world.operator, "resource-profiles/small?validate=true", profile).await.ok();
    assert_eq!(
        dry["documents"][0]["sites"]["south"]["ranges"],
        json!(["10.8.0.0/24 tcp 80", "10.8.0.0/24 tcp 8000-8999"])
    );
    let host = world.host("north").await;
    assert_eq!(host["firewall"]["control-inbound"], json!(["10.7.255.1 tcp 4647"]));
    assert_eq!(host["ingress"][0]["tenant"], "acme");
    assert_eq!(world.ranges("south").await, ["10.8.0.10-10.8.0.19 tcp 80", "10.8.0.10-10.8.0.19 tcp 8080"]);
}

#[tokio::test]
async fn a_tenant_stays_inside_its_profile_whatever_its_variables_say() {
    let world = World::new().await;
    let acme = world.tenant("acme").await;
    for (range, problem) in [
        (
            "10.9.0.1 tcp 80",
            "`ingress/web`: field `ranges`: at the site `north`: `10.9.0.1 tcp 80` comes to `10.9.0.1 . tcp . 80`, which is not inside `resource-profiles/small`; use what that allows",
        ),
        ("10.${site-number}.0.0/23 tcp 80", "which is not inside"),
        ("10.${site-number}.0.0/24 udp 80", "which is not inside"),
        ("10.${site-number}.0.0/24 tcp 80-81", "which is not inside"),
        ("0.0.0.0/0 tcp any", "which is not inside"),
        (
            "10.${missing}.0.1 tcp 80",
            "at the site `north`: `10.${missing}.0.1 tcp 80`: at position 4, the variable `missing` has no value here",
        ),
        ("10.7.0.0/24 tcp 80", "at the site `south`: `10.7.0.0/24 tcp 80` comes to"),
    ] {
        let text = world.ingress(&acme, "web", range).await.refused(422);
        assert!(text.contains(problem), "{text}");
        let document = json!({"application": "a", "ranges": [range]});
        assert_eq!(world.put(&acme, "ingress/web?validate=true", document).await.refused(422), text);
    }
    world.ingress(&acme, "web", "10.${site-number}.0.${last} tcp 80").await.refused(422);
    world.put(&acme, "variables/last", json!({"name": "last", "value": ["1", "3"]})).await.ok();
    world.ingress(&acme, "web", "10.${site-number}.0.${last} tcp 80").await.ok();
    assert_eq!(world.ranges("south").await, ["10.8.0.1 tcp 80", "10.8.0.3 tcp 80"]);
    // A site of the tenant's own says other values, and the profile stays where the operator has it.
    let own = json!({"name": "north", "variables": {"site-number": "8"}});
    let text = world.put(&acme, "system/sites/north", own).await.refused(422);
    assert!(
        text.contains("at the site `north`: `ingress/web`: `10.${site-number}.0.${last} tcp 80` comes to `10.8.0.1"),
        "{text}"
    );
    let text = world.put(&acme, "variables/last", json!({"name": "last", "value": "256"})).await.refused(422);
    assert!(text.contains("`variables/last`") && text.contains("`ingress/web`"), "{text}");
    let text = world.tower.call("DELETE", "/v1/config/variables/last", Some(&acme), None).await.refused(422);
    assert!(text.contains("the variable `last` has no value here"), "{text}");
    // Nor is the profile, or the firewall, there for it.
    for path in ["resource-profiles/small", "resource-profiles/mine", "firewall", "tenants/acme"] {
        world.put(&acme, path, json!({})).await.refused(404);
        world.tower.get(&format!("/v1/config/{path}"), &acme).await.refused(404);
    }
}

#[tokio::test]
async fn without_a_profile_there_is_no_ingress_and_a_profile_in_use_stays() {
    let world = World::new().await;
    let acme = world.tenant("acme").await;
    let document = json!({"name": "acme"});
    world.put(&world.operator, "tenants/acme", document.clone()).await.ok();
    let text = world.ingress(&acme, "web", "10.${site-number}.0.1 tcp 80").await.refused(422);
    assert!(text.contains("the tenant has no resource profile"), "{text}");
    let unknown = json!({"name": "acme", "resource-profile": "large"});
    let text = world.put(&world.operator, "tenants/acme", unknown).await.refused(422);
    assert!(text.contains("`resource-profiles/large` does not exist"), "{text}");
    let merged = json!({"resource-profile": "small"});
    world.tower.call("PATCH", "/v1/config/tenants/acme", Some(&world.operator), Some(merged)).await.ok();
    world.ingress(&acme, "web", "10.${site-number}.0.1 tcp 80").await.ok();
    let profile = "/v1/config/resource-profiles/small";
    world.tower.call("DELETE", profile, Some(&world.operator), None).await.refused(409);
    // The operator takes it away: said, and closed.
    let answer = world.put(&world.operator, "tenants/acme", document).await.ok();
    let warning = &answer["warnings"][0];
    assert_eq!(warning["tenant"], "acme");
    assert!(
        warning["warning"]
            .as_str()
            .unwrap()
            .starts_with("at the site `north`: what the tenant `acme` has there is closed: `ingress/web`: "),
        "{answer}"
    );
    assert_eq!(world.ranges("north").await, [""; 0]);
    assert_eq!(world.host("north").await["left-out"][0]["name"], "web");
}

#[tokio::test]
async fn tenants_cannot_take_each_others_ranges_and_learn_nothing_more() {
    let world = World::new().await;
    let (acme, beta) = (world.tenant("acme").await, world.tenant("beta").await);
    world.ingress(&beta, "secret-project", "10.${site-number}.0.8-10.${site-number}.0.11 tcp 80").await.ok();
    let text = world.ingress(&acme, "web", "10.${site-number}.0.10 tcp 80").await.refused(409);
    assert!(
        text.ends_with(
            "comes to `10.7.0.10 . tcp . 80`, some of which another tenant has; use other addresses or ports"
        ),
        "{text}"
    );
    assert!(!text.contains("beta") && !text.contains("secret-project"), "{text}");
    world.ingress(&acme, "web", "10.${site-number}.0.12 tcp 80").await.ok();
    // Of one's own both are named.
    let text = world.ingress(&acme, "www", "10.${site-number}.0.12-10.${site-number}.0.13 tcp 80").await.refused(422);
    assert!(text.contains("which overlaps `10.7.0.12 . tcp . 80` of") && text.contains("in `ingress/web`"), "{text}");
    // Of the operator's own.
    let text = world.ingress(&world.operator, "mine", "10.7.0.12 tcp 80").await.refused(409);
    assert!(text.contains("another tenant has"), "{text}");
    world.ingress(&world.operator, "mine", "192.0.2.1 udp 53").await.ok();
    // All together have room for 20 at a site, one of which is the platform's own.
    let text = world.ingress(&acme, "many", "10.${site-number}.0.100 tcp 8000").await.ok();
    assert_eq!(text["documents"][0]["effect"], "created");
    let ranges: Vec<String> = (0..17).map(|n| format!("10.${{site-number}}.0.{} tcp 80", 101 + 2 * n)).collect();
    let document = json!({"name": "many", "application": "a", "ranges": ranges});
    let text = world.put(&acme, "ingress/many", document).await.refused(422);
    assert!(text.contains("with it ingress has more than 19 ranges, which is what `max-ranges`"), "{text}");
}

#[tokio::test]
async fn what_the_operator_changes_closes_what_no_longer_fits_and_nothing_else() {
    let world = World::new().await;
    let (acme, beta) = (world.tenant("acme").await, world.tenant("beta").await);
    world.ingress(&acme, "low", "10.${site-number}.0.1 tcp 80").await.ok();
    world.ingress(&acme, "high", "10.${site-number}.0.200 tcp 80").await.ok();
    world.ingress(&beta, "web", "10.${site-number}.0.2 tcp 80").await.ok();
    let narrower = json!({"name": "small", "ingress": {"ranges": ["10.${site-number}.0.0/25 tcp 80"]}});
    let answer = world.put(&world.operator, "resource-profiles/small?validate=true", narrower.clone()).await.ok();
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 2, "at two sites: {answer}");
    assert_eq!(world.ranges("north").await.len(), 3);
    world.put(&world.operator, "resource-profiles/small", narrower).await.ok();
    assert_eq!(world.ranges("north").await, ["10.7.0.1 tcp 80", "10.7.0.2 tcp 80"]);
    // It goes on with what else it has, and its mistake is not held against another change.
    world.put(&acme, "variables/other", json!({"name": "other", "value": "1"})).await.ok();
    world.ingress(&acme, "high", "10.${site-number}.0.100 tcp 80").await.ok();
    assert_eq!(world.ranges("south").await.len(), 3);
    // A site without what the ranges need.
    let site = json!({"name": "east"});
    let text = world.put(&world.operator, "system/sites/east", site.clone()).await.refused(422);
    assert!(
        text.contains("`system/sites/east`: at the site `east`: `firewall control-inbound`")
            && text.contains("`site-number`"),
        "{text}"
    );
    let without = json!({"workload-interfaces": ["kw*"]});
    world.put(&world.operator, "firewall", without).await.ok();
    let answer = world.put(&world.operator, "system/sites/east", site).await.ok();
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 3, "{answer}");
    assert_eq!(world.host("east").await["left-out"].as_array().unwrap().len(), 3);
    // Its own document is refused, as any other that does not go with what is there.
    let text = world.ingress(&world.operator, "own", "10.${site-number}.1.1 tcp 80").await.refused(422);
    assert!(text.contains("at the site `east`"), "{text}");
}

#[tokio::test]
async fn a_firewall_that_does_not_work_is_refused() {
    let world = World::new().await;
    for (document, problem) in [
        (json!({"rest": "drop-workloads"}), "without the interfaces of the workloads"),
        (json!({"accept-mark": "0x01000000"}), "has bits of the mask"),
        (
            json!({"control-outbound": ["${tower} tcp 443"]}),
            "at the site `north`: `firewall control-outbound`: `${tower} tcp 443`",
        ),
    ] {
        let text = world.put(&world.operator, "firewall", document).await.refused(422);
        assert!(text.contains(problem), "{text}");
    }
    let text = world.put(&world.operator, "firewall", json!({"mark-mask": "x"})).await.refused(400);
    assert!(text.contains("`mark-mask`"), "{text}");
    let text = world.ingress(&world.operator, "web", "10.0.0.0/33 tcp 1").await.refused(400);
    assert!(text.contains("`ranges[0]`"), "{text}");
    // Without any site what does not depend on one is checked.
    let tower = Tower::fresh().await;
    let operator = tower.administrator().await;
    let world = World { tower, operator };
    world.ingress(&world.operator, "web", "10.${site-number}.0.1 tcp 80").await.ok();
    world.ingress(&world.operator, "one", "10.0.0.1 tcp 80").await.ok();
    world.ingress(&world.operator, "two", "10.0.0.1 tcp 80").await.refused(422);
    world.put(&world.operator, "firewall", json!({"rest": "drop-workloads"})).await.refused(422);
}

#[tokio::test]
async fn more_than_a_request_may_have_is_several_documents() {
    let world = World::new().await;
    world.put(&world.operator, "firewall", json!({"workload-interfaces": ["kw*"]})).await.ok();
    // Not neighbours, which would be joined.
    let ranges: Vec<String> = (0..40_000)
        .map(|n: u32| std::net::Ipv4Addr::from(0x0a00_0000 + n * 4))
        .map(|first| format!("{first}-{} tcp 443", std::net::Ipv4Addr::from(u32::from(first) + 1)))
        .collect();
    let document = |name: &str, ranges: &[String]| json!({"name": name, "application": "shop", "ranges": ranges});
    let refused = world.put(&world.operator, "ingress/web", document("web", &ranges)).await.refused(413);
    assert_eq!(refused, "the body is longer than 1048576 bytes: send it in parts, and a long document as several");
    for (name, part) in ["web-1", "web-2"].into_iter().zip(ranges.chunks(20_000)) {
        world.put(&world.operator, &format!("ingress/{name}"), document(name, part)).await.ok();
    }
    assert_eq!(world.ranges("north").await.len(), 40_000);
}
