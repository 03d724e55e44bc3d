//! What the program prints to standard output: how to reach it and, once, how to log in.

use std::{io::Write as _, path::Path};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    app::Credentials,
    config::OutputFormat,
    launch::{Initialised, Tower},
};

/// The one line of `--output json`; what does not apply is left out.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_cert: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    federation_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_home_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

/// How to reach the tower and, the first time, how to log in.
///
/// # Errors
/// Standard output is closed.
pub fn started(tower: &Tower, format: OutputFormat) -> anyhow::Result<()> {
    let place = Place {
        url: tower.url.as_str(),
        ca_cert: tower.ca_cert.as_deref(),
        federation_url: tower.federation_url.as_deref(),
        call_home_url: tower.call_home_url.as_deref(),
    };
    show(Some(place), tower.credentials.as_ref(), format)?;
    match format {
        // Standard output carries the one line alone.
        OutputFormat::Json if tower.is_sealed => {
            tracing::info!(url = %tower.url, "sealed: unseal it with `supctl unseal`")
        }
        OutputFormat::Json => tracing::info!(url = %tower.url, "ready"),
        OutputFormat::Text if tower.is_sealed => {
            print(format!("Sealed at {}: unseal it with `supctl unseal`.\n", tower.url).as_bytes())?;
        }
        OutputFormat::Text => print(format!("Ready at {}.\n", tower.url).as_bytes())?,
    }
    Ok(())
}

/// How to reach the tower once it is started, and how to log in: the same as at a first start.
///
/// # Errors
/// Standard output is closed.
pub fn initialised(made: &Initialised, format: OutputFormat) -> anyhow::Result<()> {
    let place = Place {
        url: made.url.as_str(),
        ca_cert: made.ca_cert.as_deref(),
        federation_url: made.federation_url.as_deref(),
        call_home_url: None,
    };
    show(Some(place), Some(&made.credentials), format)
}

/// How to log in from now on.
///
/// # Errors
/// Standard output is closed.
pub fn reset(credentials: &Credentials, format: OutputFormat) -> anyhow::Result<()> {
    show(None, Some(credentials), format)
}

/// A sentence about what was done.
///
/// # Errors
/// Standard output is closed.
pub fn done(sentence: &str) -> anyhow::Result<()> {
    print(format!("{sentence}\n").as_bytes())
}

/// Where the tower is.
#[derive(Clone, Copy)]
struct Place<'a> {
    url: &'a str,
    ca_cert: Option<&'a Path>,
    federation_url: Option<&'a str>,
    call_home_url: Option<&'a str>,
}

fn show(place: Option<Place<'_>>, credentials: Option<&Credentials>, format: OutputFormat) -> anyhow::Result<()> {
    let line = Line {
        url: place.map(|place| place.url),
        ca_cert: place.and_then(|place| place.ca_cert),
        federation_url: place.and_then(|place| place.federation_url),
        call_home_url: place.and_then(|place| place.call_home_url),
        tenant: credentials.map(|credentials| credentials.tenant.as_str()),
        tenant_id: credentials.map(|credentials| credentials.tenant_id.as_str()),
        username: credentials.map(|credentials| credentials.username.as_str()),
        password: credentials.map(|credentials| credentials.password.as_str()),
    };
    // As large as it gets: a buffer that grows leaves copies of the password behind.
    let mut text = Zeroizing::new(Vec::with_capacity(16 << 10));
    match format {
        OutputFormat::Json => {
            serde_json::to_writer(&mut *text, &line)?;
            text.push(b'\n');
        }
        OutputFormat::Text => write_text(&mut text, &line)?,
    }
    print(&text)
}

fn write_text(text: &mut Vec<u8>, line: &Line<'_>) -> std::io::Result<()> {
    if let Some(url) = line.url {
        writeln!(text, "URL       {url}")?;
    }
    if let Some(ca_cert) = line.ca_cert {
        writeln!(text, "CA file   {}", ca_cert.display())?;
    }
    if let Some(url) = line.federation_url {
        writeln!(text, "Bundle    {url} (https_spiffe)")?;
    }
    if let Some(url) = line.call_home_url {
        writeln!(text, "Call home {url}")?;
    }
    if let (Some(tenant), Some(id), Some(username), Some(password)) =
        (line.tenant, line.tenant_id, line.username, line.password)
    {
        writeln!(text, "Tenant    {tenant} ({id})\nUser      {username}\nPassword  {password}")?;
        writeln!(text, "          Shown once. `control-tower reset-admin` makes another.")?;
    }
    Ok(())
}

fn print(bytes: &[u8]) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(bytes)?;
    Ok(output.flush()?)
}
