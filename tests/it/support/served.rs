//! Real servers that `tests/interop/serve` starts: issuers, and providers at which people sign in.
//!
//! Must never outlive the test that started one.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStderr;

/// A server that runs. Killed when dropped.
pub struct Served {
    /// Where it listens.
    pub url: String,
    child: Child,
    /// Read for as long as it runs, so that it never writes into nothing.
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Served {
    /// Starts what `arguments` name, and waits until it listens.
    pub async fn start(arguments: &[&str]) -> Self {
        let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/serve");
        let mut serve = Command::new(serve);
        let mut child = serve.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = ChildStderr::from_std(child.stderr.take().unwrap()).unwrap();
        // It is there before anything can go wrong, so that it is killed.
        let mut served = Self { child, url: String::new(), stderr: BufReader::new(stderr).lines() };
        while served.url.is_empty() {
            let line = served.stderr.next_line().await.unwrap().expect("it ended before it listened");
            if let Some(url) = line.strip_prefix("listening on ") {
                url.clone_into(&mut served.url);
            }
        }
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}
