//! The tables of the README name tests: each of them is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is not beside a packaged crate.
const OF_THE_TOWER: [&str; 6] = ["stories", "login", "login_oidc", "site", "pages", "backup"];

/// Where tests named `module::…` are: of this crate, or of the tower.
fn file(module: &str) -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tower = here.join("../examples/control-tower/tests");
    match module {
        "stories" => tower.join("browser/tests/stories.rs"),
        "story" | "attacks" => here.join(format!("tests/{module}.rs")),
        module if OF_THE_TOWER.contains(&module) => tower.join(format!("{module}.rs")),
        module => here.join(format!("src/{module}.rs")),
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (mut looked_at, mut missing) = (0, Vec::new());
    for section in ["## The login as its users see it", "## Attacks"] {
        let table = readme.split(section).nth(1).unwrap().split("\n## ").next().unwrap();
        for row in table.lines().filter(|row| row.starts_with("| ")).skip(1) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let named: Vec<&str> = cells[3].split('`').skip(1).step_by(2).collect();
            assert!(!named.is_empty() || cells[1].starts_with("**"), "no test shows it: {row}");
            // Of attacks the next column names the tower's tests, of which those of `login.rs` go without its name.
            let over_http = if section == "## Attacks" { cells[4] } else { "" };
            let over_http = over_http.split('`').skip(1).step_by(2).filter(|name| !name.contains('.'));
            let named = named.into_iter().map(|name| (name, "attacks"));
            for (name, default) in named.chain(over_http.map(|name| (name, "login"))) {
                let path: Vec<&str> = name.split("::").filter(|part| *part != "tests").collect();
                let (function, module) = path.split_last().unwrap();
                let module = if module.is_empty() { default.to_owned() } else { module.join("/") };
                let Ok(text) = fs::read_to_string(file(&module)) else {
                    assert!(OF_THE_TOWER.contains(&module.as_str()), "{name}");
                    continue;
                };
                looked_at += 1;
                if !text.contains(&format!("fn {function}(")) {
                    missing.push(name.to_owned());
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(looked_at > 40, "{looked_at}");
}
