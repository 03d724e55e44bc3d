//! Chromium, driven through chromedriver, one browser with a profile of its own.

use std::{
    io::{Read as _, Write as _},
    mem::ManuallyDrop,
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use thirtyfour::{ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver, WebElement, cdp::Cdp, prelude::*};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// How long anything may take on a busy machine: whoever waits so long has lost nothing but time.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A browser.
pub struct Chrome {
    /// The driver.
    pub driver: ManuallyDrop<WebDriver>,
    tools: Cdp,
    process: Child,
    port: u16,
    _profile: tempfile::TempDir,
}

/// Also when a test fails: chromedriver ends its browser when it is told to, not when it is killed, and the driver's own way of
/// telling it waits for a runtime that is on its way out.
impl Drop for Chrome {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let id = self.driver.handle().session_id();
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let _ = write!(stream, "DELETE /session/{id} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let _ = stream.read(&mut [0; 64]);
        }
        let _ = self.process.start_kill();
    }
}

/// Light or dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub const BOTH: [Self; 2] = [Self::Light, Self::Dark];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl Chrome {
    /// A browser that trusts the public key with that hash (`--ignore-certificate-errors-spki-list`): a page with a certificate
    /// that the browser was merely told to overlook may not use passkeys.
    pub async fn start(spki: Option<&str>) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let profile = tempfile::tempdir().unwrap();
        let (process, port) = chromedriver().await;
        let mut capabilities = DesiredCapabilities::chrome();
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--force-color-profile=srgb".to_owned(),
            "--lang=en-GB".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        arguments.extend(spki.map(|hash| format!("--ignore-certificate-errors-spki-list={hash}")));
        for argument in &arguments {
            capabilities.add_arg(argument).unwrap();
        }
        let driver = WebDriver::new(format!("http://localhost:{port}"), capabilities).await.unwrap();
        let tools = Cdp::new(driver.handle().clone());
        Self { driver: ManuallyDrop::new(driver), tools, process, port, _profile: profile }
    }

    /// A command of the Chrome DevTools Protocol.
    pub async fn cdp(&self, command: &str, arguments: Value) -> Value {
        let answer = self.tools.send_raw(command, arguments).await;
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Runs a function's body in the page, whatever the page's policy says, and answers what it comes to.
    pub async fn run(&self, script: &str) -> Value {
        let expression = format!("(async () => {{ {script} }})()");
        let arguments = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.cdp("Runtime.evaluate", arguments).await;
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    pub async fn open(&self, url: &str) {
        trace("open", url);
        self.driver.goto(url).await.unwrap();
    }

    /// What the page says, as a person reads it.
    pub async fn text(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    pub async fn path(&self) -> String {
        self.driver.current_url().await.unwrap().path().to_owned()
    }

    /// The element, as soon as it is there and shown.
    pub async fn find(&self, css: &str) -> WebElement {
        let since = Instant::now();
        loop {
            if let Ok(element) = self.driver.find(By::Css(css)).await
                && element.is_displayed().await.unwrap_or(false)
            {
                return element;
            }
            assert!(since.elapsed() < PATIENCE, "no `{css}` in:\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether there is such an element.
    pub async fn has(&self, css: &str) -> bool {
        self.driver.find(By::Css(css)).await.is_ok()
    }

    pub async fn click(&self, css: &str) {
        trace("click", css);
        let element = self.find(css).await;
        element.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Clicks the button or link with these words.
    pub async fn press(&self, words: &str) {
        trace("press", words);
        let xpath = format!("//*[self::button or self::a or self::summary][contains(normalize-space(.), {words:?})]");
        let since = Instant::now();
        loop {
            for element in self.driver.find_all(By::XPath(&*xpath)).await.unwrap_or_default() {
                if element.is_displayed().await.unwrap_or(false)
                    && element.is_enabled().await.unwrap_or(false)
                    && element.click().await.is_ok()
                {
                    return;
                }
            }
            assert!(since.elapsed() < PATIENCE, "no `{words}` to press in:\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Types into a field in the place of what is in it.
    pub async fn fill(&self, name: &str, text: &str) {
        trace("fill", name);
        let field = self.find(&format!("main input[name={name:?}]:not([hidden]):not([type=hidden])")).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Waits until the page's heading says so.
    pub async fn reach(&self, heading: &str) {
        trace("reach", heading);
        self.until(
            &format!("heading `{heading}`"),
            &format!(
                "return document.readyState === 'complete' && (document.querySelector('h1')?.innerText ?? '') === {}",
                json!(heading)
            ),
        )
        .await;
    }

    /// Waits until the script answers true.
    pub async fn until(&self, what: &str, script: &str) {
        let since = Instant::now();
        loop {
            // Between two pages there is nowhere to run it.
            let arguments = json!({
                "expression": format!("(async () => {{ {script} }})()"), "awaitPromise": true, "returnByValue": true,
            });
            if let Ok(answer) = self.tools.send_raw("Runtime.evaluate", arguments).await
                && answer["result"]["value"] == true
            {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "not yet: {what}; the page says:\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How wide and high the window is, as a telephone or not.
    pub async fn resize(&self, width: u32, height: u32) {
        let arguments = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.cdp("Emulation.setDeviceMetricsOverride", arguments).await;
    }

    pub async fn prefer(&self, scheme: Scheme) {
        // Without motion, or colours are still on their way when they are looked at.
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme.as_str()},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// A virtual authenticator with resident keys, which verifies its user by itself; answers its id.
    pub async fn authenticator(&self) -> String {
        self.cdp("WebAuthn.enable", json!({})).await;
        let options = json!({
            "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true,
            "defaultBackupEligibility": true, "defaultBackupState": true,
        });
        let answer = self.cdp("WebAuthn.addVirtualAuthenticator", json!({ "options": options })).await;
        answer["authenticatorId"].as_str().unwrap().to_owned()
    }

    /// Whether somebody touches the authenticator whenever it asks for it.
    pub async fn presence(&self, authenticator: &str, enabled: bool) {
        let arguments = json!({"authenticatorId": authenticator, "enabled": enabled});
        self.cdp("WebAuthn.setAutomaticPresenceSimulation", arguments).await;
    }

    /// What an authenticator holds.
    pub async fn credentials(&self, authenticator: &str) -> Vec<Value> {
        let answer = self.cdp("WebAuthn.getCredentials", json!({ "authenticatorId": authenticator })).await;
        answer["credentials"].as_array().unwrap().clone()
    }

    pub async fn end(self) {
        drop(self);
    }
}

/// With `KEYWARD_TRACE` each step is printed, with the seconds of the minute.
fn trace(what: &str, of: &str) {
    if crate::setting("KEYWARD_TRACE").is_some() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        eprintln!("{:2}.{:03} {what} {of}", now.as_secs() % 60, now.subsec_millis());
    }
}

/// At a port that it chooses itself, and says.
async fn chromedriver() -> (Child, u16) {
    let mut process = Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver: install chromium-driver");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("chromedriver says where it listens");
        let port = line.split("started successfully on port ").nth(1);
        if let Some(port) = port.and_then(|port| port.trim_end_matches('.').parse().ok()) {
            // It says more, and is not to be told that there is no reader.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (process, port);
        }
    }
}
