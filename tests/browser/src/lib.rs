#![doc = include_str!("../README.md")]

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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

/// The colours that somebody prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// Keys with a name that do something of their own in a browser, and their codes there (those of Windows).
const KEYS: [(&str, u32); 10] = [
    ("Tab", 9),
    ("Enter", 13),
    ("PageUp", 33),
    ("PageDown", 34),
    ("End", 35),
    ("Home", 36),
    ("ArrowLeft", 37),
    ("ArrowUp", 38),
    ("ArrowRight", 39),
    ("ArrowDown", 40),
];

/// Where the program is: installed, or unpacked below Cargo's target folder, in which this one was built.
fn program() -> Result<PathBuf> {
    let this = env::current_exe()?;
    let unpacked = this.ancestors().skip(1).map(|folder| folder.join("debian/usr/bin/chromium"));
    let mut places = [PathBuf::from("/usr/bin/chromium")].into_iter().chain(unpacked);
    places.find(|path| path.exists()).context("no chromium; `cargo xtask setup` provides it")
}

impl Browser {
    /// Opens a page from a file, in a window of this size in pixels, and waits until it says that it is ready.
    ///
    /// # Errors
    /// There is no browser, it ends, or the page is not ready in a minute.
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
                "--hide-scrollbars",
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
        // The window is no narrower than 500 pixels.
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        browser.ask("Emulation.setDeviceMetricsOverride", &metrics)?;
        browser.ask("Page.navigate", &json!({ "url": format!("file://{}", path.display()) }))?;
        let began = Instant::now();
        while browser.evaluate("document.documentElement?.dataset.ready ?? ''")? == "" {
            ensure!(began.elapsed() < PATIENCE, "the page is not ready: {:?}", browser.complaints);
            sleep(Duration::from_millis(20));
        }
        Ok(browser)
    }

    /// What an expression of the page's comes to, waited for if it is a promise.
    ///
    /// # Errors
    /// It throws.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.ask("Runtime.evaluate", &asked)?;
        ensure!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        Ok(answer["result"]["value"].take())
    }

    /// Shows the page in these colours.
    ///
    /// # Errors
    /// The browser doesn't answer.
    pub fn prefer(&mut self, scheme: Scheme) -> Result<()> {
        let value = if scheme == Scheme::Dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.ask("Emulation.setEmulatedMedia", &json!({ "features": features }))?;
        self.drawn()
    }

    /// Lays the page out as on paper.
    ///
    /// # Errors
    /// The browser doesn't answer.
    pub fn print(&mut self) -> Result<()> {
        self.ask("Emulation.setEmulatedMedia", &json!({ "media": "print" }))?;
        self.drawn()
    }

    /// Follows a link to a place in the page, without its `#`.
    ///
    /// # Errors
    /// The browser doesn't answer.
    pub fn go(&mut self, fragment: &str) -> Result<()> {
        self.evaluate(&format!("{{ location.hash = {}; }}", json!(fragment)))?;
        self.drawn()
    }

    /// A picture (PNG) from the top of the first of these elements, by their ids or names, to the end of the last, as wide as
    /// the page.
    ///
    /// # Errors
    /// The page has none of them.
    pub fn picture(&mut self, elements: &[&str]) -> Result<Vec<u8>> {
        let span = format!(
            "{{ const found = {}.map((name) => document.getElementById(name) ?? document.querySelector(name)); \
             const boxes = found.map((one) => one.getBoundingClientRect()); \
             [Math.min(...boxes.map((one) => one.top)) + scrollY, Math.max(...boxes.map((one) => one.bottom)) + scrollY, \
             document.documentElement.clientWidth]; }}",
            json!(elements)
        );
        let [top, end, width]: [f64; 3] = serde_json::from_value(self.evaluate(&span)?)?;
        // With some of the page around them.
        let (top, end) = ((top - 24.0).max(0.0), end + 24.0);
        let clip = json!({ "x": 0, "y": top, "width": width, "height": end - top, "scale": 1 });
        let asked = json!({ "format": "png", "clip": clip, "captureBeyondViewport": true });
        let taken = self.ask("Page.captureScreenshot", &asked)?;
        Ok(STANDARD.decode(taken["data"].as_str().context("no picture")?)?)
    }

    /// Presses a key that is one letter, or has a name.
    ///
    /// # Errors
    /// The browser doesn't answer.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let mut pressed = json!({ "type": "keyDown", "key": key });
        if let Some((_, code)) = KEYS.iter().find(|(name, _)| *name == key) {
            pressed["windowsVirtualKeyCode"] = json!(code);
        }
        match key {
            "Enter" => pressed["text"] = json!("\r"),
            _ if key.len() == 1 => pressed["text"] = json!(key),
            _ => {}
        }
        self.ask("Input.dispatchKeyEvent", &pressed)?;
        self.ask("Input.dispatchKeyEvent", &json!({ "type": "keyUp", "key": key }))?;
        self.drawn()
    }

    /// Clicks at a point of what is in sight.
    ///
    /// # Errors
    /// The browser doesn't answer.
    pub fn click(&mut self, x: f64, y: f64) -> Result<()> {
        for kind in ["mousePressed", "mouseReleased"] {
            let pressed = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", &pressed)?;
        }
        self.drawn()
    }

    /// Turns the wheel at a point of what is in sight.
    ///
    /// # Errors
    /// The browser doesn't answer.
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
