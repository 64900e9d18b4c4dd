//! A browser without a window, asked over pipes by its own protocol (Chrome DevTools Protocol).

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Chromium, with one page.
pub struct Browser {
    process: Child,
    to: File,
    from: BufReader<File>,
    session: Option<String>,
    asked: u64,
    /// What the page complained about.
    pub complaints: Vec<String>,
    _folder: tempfile::TempDir,
}

/// Where the program is: installed, or unpacked below Cargo's target folder.
fn program() -> Result<PathBuf> {
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../debian/usr/bin/chromium");
    let places = [PathBuf::from("/usr/bin/chromium"), unpacked];
    places.into_iter().find(|path| path.exists()).context("no chromium; `cargo xtask setup` provides it")
}

impl Browser {
    /// Opens a file.
    pub fn open(path: &Path, width: u32, height: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        let made = Command::new("mkfifo").args([&to, &from]).status()?;
        ensure!(made.success(), "mkfifo failed");
        // The browser reads descriptor 3 and writes descriptor 4.
        let mut command = Command::new("sh");
        command
            .args(["-c", "to=$1; from=$2; shift 2; exec \"$@\" 3<\"$to\" 4>\"$from\"", "sh"])
            .args([&to, &from])
            .arg(program()?)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .args(["--disable-dev-shm-usage", "--disable-background-networking"])
            .arg(format!("--window-size={width},{height}"))
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn()?;
        let to = OpenOptions::new().write(true).open(&to)?;
        let from = BufReader::new(File::open(&from)?);
        let (session, complaints) = (None, Vec::new());
        let mut browser = Self { process, to, from, session, asked: 0, complaints, _folder: folder };
        let target = browser.ask("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let id = &target["targetId"];
        let attached = browser.ask("Target.attachToTarget", &json!({ "targetId": id, "flatten": true }))?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            browser.ask(domain, &json!({}))?;
        }
        browser.ask("Page.navigate", &json!({ "url": format!("file://{}", path.display()) }))?;
        let began = Instant::now();
        while browser.evaluate("document.documentElement?.dataset.ready ?? ''")? == "" {
            ensure!(began.elapsed() < PATIENCE, "the page is not ready: {:?}", browser.complaints);
            sleep(Duration::from_millis(20));
        }
        Ok(browser)
    }

    /// What an expression of the page's comes to, waited for if it is a promise.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.ask("Runtime.evaluate", &asked)?;
        ensure!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        Ok(answer["result"]["value"].take())
    }

    /// Presses a key that is one letter, or has a name.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let mut pressed = json!({ "type": "keyDown", "key": key });
        if key.len() == 1 {
            pressed["text"] = json!(key);
        }
        self.ask("Input.dispatchKeyEvent", &pressed)?;
        self.ask("Input.dispatchKeyEvent", &json!({ "type": "keyUp", "key": key }))?;
        self.drawn()
    }

    /// Clicks at a point of what is in sight.
    pub fn click(&mut self, x: f64, y: f64) -> Result<()> {
        for kind in ["mousePressed", "mouseReleased"] {
            let pressed = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", &pressed)?;
        }
        self.drawn()
    }

    /// Turns the wheel at a point of what is in sight.
    pub fn wheel(&mut self, x: f64, y: f64, by: f64) -> Result<()> {
        let turned = json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by });
        self.ask("Input.dispatchMouseEvent", &turned)?;
        self.drawn()
    }

    /// Waits until what was changed is drawn.
    fn drawn(&mut self) -> Result<()> {
        let drawn =
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))";
        self.evaluate(drawn).map(drop)
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(message.to_string().as_bytes())?;
        self.to.write_all(b"\0")?;
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes)?;
            bytes.pop();
            ensure!(!bytes.is_empty(), "the browser has gone");
            let mut message: Value = serde_json::from_slice(&bytes)?;
            if message["id"] == self.asked {
                if !message["error"].is_null() {
                    bail!("{method}: {}", message["error"]);
                }
                return Ok(message["result"].take());
            }
            self.note(&message);
        }
    }

    fn note(&mut self, event: &Value) {
        let complains = match event["method"].as_str() {
            Some("Runtime.exceptionThrown" | "Log.entryAdded") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            _ => false,
        };
        if complains {
            self.complaints.push(event["params"].to_string());
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A browser that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
