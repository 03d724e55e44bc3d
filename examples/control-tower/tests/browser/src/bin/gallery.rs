//! `gallery FROM TO`: pictures of every file of the gallery, which `cargo test -p control-tower --test gallery` writes, and what
//! axe-core says to it.

use std::{fs, path::PathBuf};

use browser_stories::{
    axe,
    chrome::{Chrome, Scheme},
    picture,
};

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else { panic!("gallery FROM TO [NAME…]") };
    let only: Vec<String> = arguments.map(|name| name.display().to_string()).collect();
    let mut files: Vec<PathBuf> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|suffix| suffix == "html"));
    files.sort();
    let chrome = Chrome::start(None).await;
    let script = axe::script();
    let mut failed = false;
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if !only.is_empty() && !only.iter().any(|one| name.starts_with(one.as_str())) {
            continue;
        }
        chrome.resize(1200, 800).await;
        chrome.open(&format!("file://{}", file.canonicalize().unwrap().display())).await;
        picture::all(&chrome, &to, &name).await;
        let Some(script) = &script else { continue };
        for scheme in Scheme::BOTH {
            chrome.prefer(scheme).await;
            for line in axe::violations(&chrome, script).await {
                failed = true;
                println!("{name} ({}): {line}", scheme.as_str());
            }
        }
    }
    chrome.end().await;
    assert!(!failed, "axe-core found something");
}
