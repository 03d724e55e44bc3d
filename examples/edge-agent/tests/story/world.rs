//! A tower with an operator.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::host::Host;
use crate::process::{self, Ended, Tower};

pub(crate) struct World {
    directory: tempfile::TempDir,
    ports: [u16; 2],
    external_url: Option<String>,
    tower: Option<Tower>,
    password: String,
    token: String,
}

impl World {
    /// A tower that was started for the first time, with the site `oslo`.
    pub(crate) async fn new() -> Self {
        // Free now, and after a restart the same.
        let free = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|listener| listener.local_addr().unwrap().port());
        drop(free);
        Self::at(ports, None).await
    }

    /// The same, at these ports for the API and for calling home.
    pub(crate) async fn at(ports: [u16; 2], external_url: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("clock"), "0").unwrap();
        let external_url = external_url.map(str::to_owned);
        let mut world =
            Self { directory, ports, external_url, tower: None, password: String::new(), token: String::new() };
        world.start();
        world.password = world.tower().line["password"].as_str().unwrap().to_owned();
        world.log_in().await;
        world.put("system/sites/oslo", json!({"name": "oslo"})).await;
        world
    }

    pub(crate) fn clock(&self) -> PathBuf {
        self.directory.path().join("clock")
    }

    /// Where hosts call home.
    pub(crate) fn call_home_url(&self) -> String {
        format!("https://localhost:{}", self.ports[1])
    }

    /// What the tower is known by.
    pub(crate) fn ca(&self) -> PathBuf {
        self.tower().line["ca-cert"].as_str().unwrap().into()
    }

    async fn log_in(&mut self) {
        self.token = self.tower().log_in_as_admin(&self.password).await;
    }

    /// Moves the clocks of the tower and of all hosts that follow it, and of the operator, who logs in again.
    pub(crate) async fn set_clock(&mut self, offset: &str) {
        let beside = self.directory.path().join("clock.new");
        fs::write(&beside, offset).unwrap();
        fs::rename(beside, self.clock()).unwrap();
        if self.tower.is_some() {
            self.log_in().await;
        }
    }

    /// A host that follows the clock.
    pub(crate) fn host(&self, id: &str) -> Host {
        Host::new(id, Some(&self.clock()))
    }

    pub(crate) fn tower(&self) -> &Tower {
        self.tower.as_ref().unwrap()
    }

    /// Starts the tower, again or for the first time.
    pub(crate) fn start(&mut self) {
        let data_dir = self.directory.path().join("tower");
        let [listen, call_home] = self.ports.map(|port| format!("127.0.0.1:{port}"));
        let clock = self.clock();
        let args = [
            ("--data-dir", data_dir.to_str().unwrap()),
            ("--listen", &listen),
            ("--call-home-listen", &call_home),
            ("--test-clock", clock.to_str().unwrap()),
            ("--output", "json"),
            ("--rate-limit", "off"),
        ];
        let external_url = self.external_url.iter().flat_map(|url| ["--external-url", url]);
        let args: Vec<&str> = args.into_iter().flat_map(|(flag, value)| [flag, value]).chain(external_url).collect();
        self.tower = Some(Tower::spawn(&data_dir, &mut process::program(&args)));
    }

    /// `kill -9`
    pub(crate) fn kill_tower(&mut self) -> Ended {
        self.tower.take().unwrap().kill()
    }

    pub(crate) async fn put(&self, path: &str, document: Value) {
        let answer = self.tower().call("PUT", &format!("/v1/config/{path}"), Some(&self.token), Some(document)).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.tower().get(&format!("/v1/state/{path}"), &self.token).await.ok()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> process::Reply {
        self.tower().post(&format!("/v1/state/{path}"), &self.token, body).await
    }

    /// Asks for certificates of this granularity.
    pub(crate) async fn ask_for(&self, granularity: &str) {
        self.put("system/call-home/settings", json!({"client-certificate": {"verify": granularity}})).await;
    }

    /// The install script that an operator hands out.
    pub(crate) async fn script(&self, order: Value) -> String {
        let answer = self.post("system/call-home/install-script", order).await;
        assert!(answer.status.is_success(), "{}", answer.text());
        answer.text()
    }

    /// The same as a package.
    pub(crate) async fn package(&self, order: Value) -> String {
        let answer = self.post("system/call-home/issue-call-home-cert", order).await.ok();
        answer["b64-tar-package"].as_str().unwrap().to_owned()
    }

    /// The ids of the hosts that wait.
    pub(crate) async fn unclaimed(&self) -> Vec<String> {
        ids(&self.get("system/unclaimed-hosts").await["unclaimed-hosts"])
    }

    /// The ids of the duplicates.
    pub(crate) async fn duplicates(&self) -> Vec<String> {
        ids(&self.get("system/unclaimed-hosts").await["duplicates"])
    }

    /// The ids of all hosts.
    pub(crate) async fn hosts(&self) -> Vec<String> {
        ids(&self.get("system/hosts").await["hosts"])
    }

    /// Claims a host to the site.
    pub(crate) async fn claim(&self, host: &Host) {
        let path = format!("system/unclaimed-hosts/{}/claim", host.hash());
        self.post(&path, json!({"site": "oslo"})).await.ok();
    }

    /// What is on record about a host.
    pub(crate) async fn audit(&self, of: &str) -> Vec<Value> {
        let records = self.get("audit?limit=1000").await["records"].as_array().unwrap().clone();
        records.into_iter().filter(|record| record.to_string().contains(of)).collect()
    }
}

fn ids(hosts: &Value) -> Vec<String> {
    hosts.as_array().unwrap().iter().map(|host| host["id"].as_str().unwrap().to_owned()).collect()
}

/// The chain of a file, as it would be shown.
pub(crate) fn leaf_id(path: &Path) -> String {
    let chain = keyward_svid::x509::chain_from_pem(&fs::read_to_string(path).unwrap()).unwrap();
    keyward_svid::x509::peek_id(&chain[0]).unwrap().to_string()
}
