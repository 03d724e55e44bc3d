//! How hosts come in, as an administrator sees it: the settings, the script, who waits, who is claimed, released and removed.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use browser_stories::{
    chrome::PATIENCE,
    stage::{self, Looks, PASSWORD},
};
use reqwest::Method;
use serde_json::{Value, json};
use thirtyfour::Key;

/// What an administrator does about hosts.
struct Stage {
    stage: stage::Stage,
    /// The administrator's, since the password was changed.
    token: String,
    directory: tempfile::TempDir,
}

impl Deref for Stage {
    type Target = stage::Stage;

    fn deref(&self) -> &stage::Stage {
        &self.stage
    }
}

impl Stage {
    /// A tower at which hosts can call home, and its administrator, who is logged in.
    async fn new() -> Self {
        let stage = stage::Stage::with(&["--call-home-listen", "127.0.0.1:0"]).await;
        stage.administrator(PASSWORD).await;
        let login = json!({"tenant": stage.tower.tenant(), "username": "admin", "password": PASSWORD});
        let (_, answer) = stage.tower.call_as("", Method::POST, "/v1/login", login).await;
        let token = answer["token"].as_str().unwrap().to_owned();
        Self { stage, token, directory: tempfile::tempdir().unwrap() }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.tower.call_as(&self.token, method, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    async fn choose(&self, css: &str, value: &str) {
        self.chrome.find(css).await;
        let script = format!("document.querySelector({}).value = {}", json!(css), json!(value));
        self.chrome.run(&script).await;
    }

    async fn settings(&self, verify: &str) {
        let document = json!({"client-certificate": {"verify": verify}});
        self.call(Method::PUT, "/v1/config/system/call-home/settings", document).await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A machine with a key of its own, which calls home with what is in the package, if there is one.
    fn machine(&self, key: &str, host_id: &str, host_name: &str, package: Option<&Path>) -> Machine {
        let key = self.path(key);
        let subject =
            ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=host"];
        let made = Command::new("openssl").args(subject).arg("-keyout").arg(&key).output().unwrap();
        let csr = text(&made.stdout);
        let body = json!({"host-id": host_id, "csr": csr, "host-name": host_name, "agent-version": "1.0.0"});
        Machine { body, package: package.map(Path::to_owned), url: String::new() }
    }

    async fn end(self) {
        self.stage.end().await;
    }
}

struct Machine {
    body: Value,
    package: Option<PathBuf>,
    url: String,
}

impl Machine {
    fn at(self, url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), ..self }
    }

    /// Calls home; answers status and body.
    fn knock(&self) -> (u16, Value) {
        let mut curl = Command::new("curl");
        curl.args([
            "-sk",
            "-w",
            "\n%{http_code}",
            "-H",
            "content-type: application/json",
            "-d",
            &self.body.to_string(),
        ]);
        if let Some(package) = &self.package {
            curl.arg("--cert").arg(package.join("certificate.pem")).arg("--key").arg(package.join("key.pem"));
        }
        let said = curl.arg(format!("{}/v1/call-home", self.url)).output().unwrap();
        let said = text(&said.stdout);
        let (body, status) = said.rsplit_once('\n').unwrap_or(("", &said));
        (status.parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn sh(directory: &Path, command: &str) -> Output {
    Command::new("sh").arg("-c").arg(command).current_dir(directory).output().unwrap()
}

#[tokio::test]
async fn a_host_from_the_settings_to_its_removal() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    let mut looks = Looks::new(env!("CARGO_TARGET_TMPDIR"));
    chrome.press("Hosts").await;
    chrome.reach("Hosts").await;
    stage.says("No host waits.").await;
    looks.at(chrome, "20-hosts-nothing-yet").await;

    // The settings: what is wrong is said where it is, and what was typed stays.
    chrome.press("Call-home settings").await;
    chrome.reach("Call-home settings").await;
    chrome.click("input[name=verify][value=site]").await;
    stage.choose("#field-lb-mode", "aws-passthrough").await;
    chrome.fill("max-unclaimed", "7").await;
    chrome.press("Save the settings").await;
    let error = chrome.find("#field-lb-addresses-error").await.text().await.unwrap();
    assert_eq!(error, "Name the networks that the load balancer connects from.");
    stage.is_at("field-lb-addresses").await;
    let described = "return document.querySelector('#field-lb-addresses').getAttribute('aria-describedby')";
    assert!(chrome.run(described).await.as_str().unwrap().contains("field-lb-addresses-error"));
    assert_eq!(chrome.find("#field-max-unclaimed").await.value().await.unwrap().unwrap(), "7");
    looks.at(chrome, "21-settings-refused").await;
    chrome.find("#field-lb-addresses").await.send_keys("10.0.0.0/16\n10.1.0.0.0").await.unwrap();
    chrome.press("Save the settings").await;
    chrome
        .until("named", "return document.querySelector('#field-lb-addresses-error')?.innerText.includes('10.1.0.0.0')")
        .await;
    stage.choose("#field-lb-mode", "none").await;
    chrome.find("#field-lb-addresses").await.clear().await.unwrap();
    chrome.press("Save the settings").await;
    stage.says("The settings were changed, and hold from now on.").await;
    looks.at(chrome, "22-settings").await;
    let stored = stage.call(Method::GET, "/v1/config/system/call-home/settings", Value::Null).await;
    assert_eq!((&stored["client-certificate"]["verify"], &stored["max-unclaimed"]), (&json!("site"), &json!(7)));

    // A site, and a certificate for its hosts.
    stage.open("/hosts").await;
    chrome.fill("name", "no site").await;
    chrome.press("Make the site").await;
    chrome.find("#field-name-error").await;
    stage.is_at("field-name").await;
    chrome.fill("name", "oslo").await;
    chrome.press("Make the site").await;
    stage.says("The site was made.").await;
    chrome.press("Install agent").await;
    chrome.reach("Install agent").await;
    assert!(chrome.text().await.contains("a certificate for each site (site)"), "{}", chrome.text().await);
    looks.at(chrome, "23-install").await;
    chrome.fill("ttl", "soon").await;
    chrome.press("Issue certificate").await;
    chrome.find("#field-ttl-error").await;
    stage.is_at("field-ttl").await;
    let said = chrome.find("#field-ttl-error").await.text().await.unwrap();
    assert_eq!(said, "Write a time from a minute to 30 days, such as 12h, 1d or 1d12h.");
    chrome.fill("ttl", "1d").await;
    let behave = json!({"behavior": "allow", "downloadPath": stage.directory.path()});
    chrome.cdp("Page.setDownloadBehavior", behave).await;
    chrome.press("Issue certificate").await;
    stage.says("The certificate was issued, and its key is in the script.").await;
    looks.at(chrome, "24-script").await;
    let command = chrome.find("#command").await.text().await.unwrap();
    let digest = chrome.find("#digest").await.text().await.unwrap();
    assert!(command.contains(&digest) && !command.contains("PRIVATE"), "{command}");
    chrome.press("Download install-").await;
    let file = stage.path(&format!("install-{}.sh", &digest[..8]));
    let since = Instant::now();
    while !file.exists() {
        assert!(since.elapsed() < PATIENCE, "nothing was downloaded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Nothing of it is in an address.
    assert_eq!(chrome.driver.current_url().await.unwrap().as_str(), format!("{}/install", stage.tower.url));
    assert!(!chrome.run("return [...document.querySelectorAll('[href], [action]')].map((one) => one.href ?? one.action).join(' ')").await.as_str().unwrap().contains("data:"));

    // On the host, as the page says, but for the rights and the agent.
    // The stand-in for the agent keeps the package, of which the script deletes the key when the agent is done.
    std::fs::write(stage.path("agent"), "#!/bin/sh\ncp -r \"${0%/*}/state/call-home\" \"${0%/*}/package\"\n").unwrap();
    sh(stage.directory.path(), "chmod +x agent");
    let here = command.replace("sudo ", "");
    let ran =
        sh(stage.directory.path(), &format!("{here} --agent $PWD/agent --state-dir $PWD/state && ls state/call-home"));
    assert!(ran.status.success(), "{}{}", text(&ran.stdout), text(&ran.stderr));
    // A script that was changed on its way is not run.
    let other = sh(
        stage.directory.path(),
        &format!("mkdir x && cp install-* x/ && cd x && echo >> install-*.sh && {here} --dry-run"),
    );
    assert!(!other.status.success());
    let package = stage.path("package");
    assert!(package.join("certificate.pem").exists(), "{}{}", text(&ran.stdout), text(&ran.stderr));
    let url = std::fs::read_to_string(package.join("tower-url")).unwrap().trim().to_owned();
    let long = "an-edge-host-with-a-rather-long-name-01.stores.north.example.com";
    let host = stage.machine("key1", "4c4c4544-0051", long, Some(&package)).at(&url);
    let twin = stage.machine("key2", "4c4c4544-0051", "twin", Some(&package)).at(&url);
    let stranger = stage.machine("key3", "4c4c4544-0052", "stranger", None).at(&url);

    // The page shows each of them by itself.
    stage.open("/hosts").await;
    chrome.reach("Hosts").await;
    assert_eq!(host.knock().0, 202);
    stage.says(long).await;
    stage.says("Unclaimed").await;
    assert_eq!(
        chrome.run("return document.querySelector('[data-status]').textContent").await,
        "1 host waits to be claimed."
    );
    assert_eq!(twin.knock().0, 409);
    stage.says("Another machine calls with the same host-id").await;
    assert_eq!(stranger.knock().0, 403);
    stage.says("A call-home certificate is needed (granularity site): issue one and run its install script.").await;
    looks.at(chrome, "25-hosts-waiting").await;

    chrome.press("Claim").await;
    stage.says("The host is claimed.").await;
    let claimed = host.knock();
    assert_eq!(claimed.0, 200, "{claimed:?}");
    stage.says(claimed.1["spiffe-id"].as_str().unwrap()).await;
    stage.says("Identity until").await;
    chrome.run("for (const one of document.querySelectorAll('details.act, details.more')) one.open = true").await;
    looks.at(chrome, "26-hosts-claimed").await;
    stage.open("/hosts?updates=off").await;
    stage.says("This page is held as it is.").await;

    chrome.press("Release").await;
    chrome.press("Release it").await;
    stage.says("The host is released: it may call home again.").await;
    assert!(!chrome.text().await.contains(long));
    assert_eq!(twin.knock().0, 202, "the other one has its chance");
    stage.says("twin").await;
    chrome.press("Remove").await;
    chrome.press("Remove it").await;
    stage.says("The host is removed.").await;
    assert_eq!(twin.knock().0, 403);
    stage.says("These hosts may not call home").await;
    looks.at(chrome, "27-hosts-removed").await;
    looks.end();
    stage.end().await;
}

/// Settings, script and claim by keyboard alone; what is being done stays while the page shows news.
#[tokio::test]
async fn by_keyboard() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    stage.settings("never").await;
    stage.call(Method::POST, "/v1/config/system/sites", json!({"name": "bergen"})).await;
    stage.call(Method::POST, "/v1/config/system/sites", json!({"name": "oslo"})).await;
    stage.tab("Hosts").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Hosts").await;
    stage.tab("Install agent").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Install agent").await;
    stage.tab("Make the script").await;
    stage.keys(Key::Enter).await;
    stage.says("There is no secret in it.").await;
    let url = stage.call(Method::POST, "/v1/state/system/call-home/install-script?output=json", json!({})).await;
    let url = url["call-home-url"].as_str().unwrap();
    stage.tab("To the hosts").await;
    stage.keys(Key::Enter).await;
    chrome.reach("Hosts").await;
    let first = stage.machine("key1", "host-1", "first", None).at(url);
    let second = stage.machine("key2", "host-2", "second", None).at(url);
    assert_eq!(first.knock().0, 202);
    stage.says("first").await;
    stage.tab("Details of first").await;
    stage.keys(Key::Enter).await;
    // Another one comes meanwhile: what is open stays open, and the focus where it is.
    assert_eq!(second.knock().0, 202);
    stage.says("second").await;
    let kept = "return document.activeElement.matches('summary') && document.activeElement.parentElement.open
        && document.activeElement.textContent.includes('first')";
    assert_eq!(chrome.run(kept).await, true);
    stage.tab("site").await;
    stage.keys("oslo").await;
    stage.tab("Claim first").await;
    stage.keys(Key::Enter).await;
    stage.says("The host is claimed.").await;
    stage.says("Site oslo").await;
    stage.tab("Remove second").await;
    stage.keys(" ").await;
    stage.tab("Remove it second").await;
    stage.keys(Key::Enter).await;
    stage.says("The host is removed.").await;
    let hosts = stage.call(Method::GET, "/v1/state/system/hosts", Value::Null).await;
    let mut states: Vec<&str> =
        hosts["hosts"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    states.sort_unstable();
    assert_eq!(states, ["claimed", "removed"]);
    stage.end().await;
}

/// The same pages without script: they are loaded again by themselves.
#[tokio::test]
async fn without_script() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    stage.call(Method::POST, "/v1/config/system/sites", json!({"name": "oslo"})).await;
    chrome.cdp("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    stage.open("/call-home").await;
    chrome.click("input[name=verify][value=never]").await;
    chrome.click("form[action='/call-home'] button.button").await;
    chrome.find(".notice.good").await;
    stage.open("/install").await;
    chrome.click("main form[action='/install'] button").await;
    chrome.find("#command").await;
    let url = stage.call(Method::POST, "/v1/state/system/call-home/install-script?output=json", json!({})).await;
    stage.open("/hosts").await;
    chrome.find(".empty").await;
    let host = stage.machine("key1", "host-1", "first", None).at(url["call-home-url"].as_str().unwrap());
    assert_eq!(host.knock().0, 202);
    let since = Instant::now();
    while !chrome.has("form[action='/hosts/claim']").await {
        assert!(since.elapsed() < 2 * PATIENCE, "the page shows no news");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    chrome.click("form[action='/hosts/claim'] button").await;
    chrome.find("#claimed ~ *, #claimed").await;
    chrome.find(".notice.good").await;
    assert_eq!(host.knock().0, 200);
    stage.end().await;
}

/// Whoever is of another tenant finds nothing, and whoever may not is shown nothing.
#[tokio::test]
async fn only_for_those_who_may() {
    let stage = Stage::new().await;
    let chrome = &stage.chrome;
    stage
        .call(Method::POST, "/v1/config/strongbox/policies", json!({"name": "reader", "rest-api": {"rules": []}}))
        .await;
    let user = json!({"name": "bob@example.com", "policies": ["reader"], "enforced-methods": []});
    stage.call(Method::POST, "/v1/config/strongbox/authentication/users", user).await;
    let path = "/v1/state/strongbox/authentication/users/bob@example.com/enrolment-link";
    let link = stage.call(Method::POST, path, json!({})).await;
    // A form of elsewhere changes nothing.
    let forged = "const answer = await fetch('/hosts/site', {method: 'POST', redirect: 'manual', body: new URLSearchParams({'form-token': 'x', name: 'oslo'})});
        return answer.status";
    stage.open("/hosts").await;
    chrome.reach("Hosts").await;
    assert_eq!(chrome.run(forged).await, 403);
    stage.log_out().await;
    chrome.open(link["url"].as_str().unwrap()).await;
    chrome.press("Begin").await;
    stage.set_password(PASSWORD).await;
    chrome.reach("Overview").await;
    assert!(!chrome.has("nav a[href='/hosts']").await);
    for path in ["/hosts", "/install", "/call-home"] {
        stage.open(path).await;
        chrome.reach("Not permitted").await;
    }
    stage.end().await;
}
