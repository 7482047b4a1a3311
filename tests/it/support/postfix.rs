//! A Postfix of the test's own: configuration, queue and log in a folder of its own, a port of loopback. The
//! Postfix of the machine, if there is one, is left alone.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Ports that the kernel gives to nobody by itself (`ip_local_port_range` begins at 32768).
const PORTS: std::ops::Range<u16> = 20_000..30_000;

pub struct Postfix {
    dir: TempDir,
    port: u16,
}

impl Postfix {
    /// Starts one with these lines added to what it takes to run at all.
    pub fn start(main: &str, master: &str) -> Self {
        let dir = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o755)).tempdir().unwrap();
        let postfix = Self { port: free_port(), dir };
        let here = postfix.dir.path().display();
        let own = format!(
            "compatibility_level = 3.6\n\
             queue_directory = {here}/queue\n\
             data_directory = {here}/data\n\
             maillog_file_prefixes = {here}\n\
             maillog_file = {here}/log\n\
             myhostname = mx.acme.test\n\
             mydestination =\n\
             mynetworks = 192.0.2.1/32\n\
             inet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\n\
             alias_maps =\n\
             enable_long_queue_ids = yes\n"
        );
        std::fs::create_dir(postfix.path("queue")).unwrap();
        std::fs::write(postfix.path("main.cf"), format!("{own}{main}")).unwrap();
        std::fs::write(postfix.path("master.cf"), format!("{}{master}", services(postfix.port))).unwrap();
        // It comes back once every service is ready to be asked.
        let (said, success) = postfix.control("start");
        assert!(success, "Postfix did not start: {said}{}", postfix.log());
        postfix
    }

    /// Hands it a mail from `client`, an address of loopback.
    pub fn send(&self, client: &str, sender: &str, recipient: &str, mail: &str) {
        let place = format!("127.0.0.1:{}", self.port);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/send_mail.py");
        let mut sending = Command::new("python3");
        sending.arg(script).args([&place, client, sender, recipient]).stdin(Stdio::piped());
        let mut sending = sending.spawn().unwrap();
        std::io::Write::write_all(&mut sending.stdin.take().unwrap(), mail.as_bytes()).unwrap();
        assert!(sending.wait().unwrap().success(), "{}", self.log());
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn control(&self, verb: &str) -> (String, bool) {
        let mut command = Command::new("/usr/sbin/postfix");
        let output = command.arg("-c").arg(self.dir.path()).arg(verb).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| {
            panic!("cannot start Postfix: {error}; tests/run installs it as root on Debian: apt-get install postfix")
        });
        (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.success())
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _already_gone = self.control("stop");
    }
}

fn free_port() -> u16 {
    let start =
        PORTS.start + u16::try_from(std::process::id() % u32::try_from(PORTS.len()).unwrap()).unwrap();
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (start..PORTS.end).chain(PORTS.start..start).find(is_free).unwrap()
}

/// What receives, queues and logs; nothing that sends mail away.
fn services(port: u16) -> String {
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd\n\
         cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         defer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\n\
         proxymap unix - - n - - proxymap\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         anvil unix - - n - 1 anvil\n\
         postlog unix-dgram n - n - 1 postlogd\n"
    )
}
