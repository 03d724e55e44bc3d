//! Network namespaces of one's own, so that no rule of the host is ever touched.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A network namespace that ends with this value.
pub struct Namespace {
    name: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

/// The `nft` to use: that of the host, or the one that the variable names.
pub fn nft() -> String {
    std::env::var("KEYWARD_NFT").unwrap_or_else(|_| "nft".to_owned())
}

/// A second `nft` of another version, if there is one.
pub fn other_nft() -> Option<String> {
    std::env::var("KEYWARD_OTHER_NFT").ok().filter(|program| !program.is_empty())
}

/// Whether the long tests run in full.
pub fn full() -> bool {
    std::env::var_os("KEYWARD_FULL").is_some_and(|value| value == "1")
}

impl Namespace {
    pub fn new() -> Self {
        let name = format!("kw{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let made = Self { name };
        run(Command::new("ip").args(["netns", "add", &made.name]), "");
        made.run("ip", &["link", "set", "lo", "up"]);
        made
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command inside.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]).args(arguments);
        command
    }

    /// What a command inside prints; it must succeed.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        run(&mut self.command(program, arguments), "")
    }

    /// Loads what goes into `nft -f`; it must succeed.
    pub fn load(&self, text: &str) {
        self.load_with(&nft(), &[], text);
    }

    pub fn load_with(&self, nft: &str, options: &[&str], text: &str) {
        run(&mut self.command(nft, &[options, &["-f", "-"]].concat()), text);
    }

    /// Our table as it is.
    pub fn listing(&self) -> String {
        self.listing_with(&nft())
    }

    /// The same with the numbers of rules.
    pub fn numbered(&self, nft: &str) -> String {
        self.run(nft, &["-a", "-s", "list", "table", "inet", "keyward"])
    }

    pub fn listing_with(&self, nft: &str) -> String {
        self.run(nft, &["-s", "list", "table", "inet", "keyward"])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn run(command: &mut Command, input: &str) -> String {
    let output = output(command, input);
    let shown = || format!("{command:?}\n{}\n{input}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", shown());
    String::from_utf8(output.stdout).unwrap()
}

pub fn output(command: &mut Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("ip and nft");
    // One that reads no input may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}
