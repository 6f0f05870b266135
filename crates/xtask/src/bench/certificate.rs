//! The certificate of TLS scenarios: P-256, self-signed, made anew for each benchmark.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::request::HOST;

/// Files of a certificate, in the forms the peers take it.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// PEM chain.
    pub(crate) chain: PathBuf,
    /// PEM key.
    pub(crate) key: PathBuf,
    /// Both in one file.
    pub(crate) both: PathBuf,
}

impl Certificate {
    /// Lets `openssl` make one below `directory`.
    ///
    /// # Errors
    /// When `openssl` fails or a file cannot be written.
    pub(crate) fn make(directory: &Path) -> Result<Self> {
        let made = Self {
            chain: directory.join("tls.crt"),
            key: directory.join("tls.key"),
            both: directory.join("tls.pem"),
        };
        let output = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args(["-nodes", "-days", "30", "-subj", &format!("/CN={HOST}")])
            .args(["-addext", &format!("subjectAltName=DNS:{HOST}")])
            .arg("-keyout")
            .arg(&made.key)
            .arg("-out")
            .arg(&made.chain)
            .output()
            .context("cannot run openssl")?;
        if !output.status.success() {
            bail!("openssl: {}", String::from_utf8_lossy(&output.stderr));
        }
        let (chain, key) = made.pem()?;
        std::fs::write(&made.both, chain + &key)?;
        Ok(made)
    }

    /// Chain and key as text.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn pem(&self) -> Result<(String, String)> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("no {}", path.display()))
        };
        Ok((read(&self.chain)?, read(&self.key)?))
    }
}
