//! A real Chromium, driven through its chromedriver, and applications for it to visit.

use std::{
    env,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use axum::Router;
use fantoccini::{
    Client, ClientBuilder, Locator,
    cookies::Cookie,
    elements::Element,
    error::CmdError,
    wd::{Capabilities, WindowHandle},
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    time::sleep,
};

pub(crate) type Outcome<T = ()> = Result<T, CmdError>;

/// Runs a test in a browser. Tests that run one after the other share one, each on a host of its own.
pub(crate) fn in_a_browser(test: impl AsyncFnOnce(&Browser) -> Outcome) {
    let turn = Turn::take();
    let idle = lock().idle.pop();
    let running = idle.unwrap_or_else(|| Running::start(&json!({ "args": ARGUMENTS }))).visit(test);
    lock().idle.push(running);
    drop(turn);
}

/// Runs a test in a browser with the screen of a phone.
pub(crate) fn on_a_phone(test: impl AsyncFnOnce(&Browser) -> Outcome) {
    let phone = json!({ "deviceMetrics": { "width": 390, "height": 844, "pixelRatio": 1.0, "touch": true } });
    drop(Running::start(&json!({ "args": ARGUMENTS, "mobileEmulation": phone })).visit(test));
}

/// Runs a test in a browser without the cache that shows a page again as it was left, and asks nobody.
pub(crate) fn in_a_browser_that_asks_again(test: impl AsyncFnOnce(&Browser) -> Outcome) {
    let arguments = [ARGUMENTS, &["--disable-back-forward-cache"]].concat();
    drop(Running::start(&json!({ "args": arguments })).visit(test));
}

/// The browsers that wait for their next test, and how many tests use one.
struct Pool {
    idle: Vec<Running>,
    turns: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { idle: Vec::new(), turns: 0 });

fn lock() -> MutexGuard<'static, Pool> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One test's turn. With the last one all browsers end.
struct Turn;

impl Turn {
    fn take() -> Self {
        lock().turns += 1;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut pool = lock();
        pool.turns -= 1;
        if pool.turns == 0 {
            pool.idle.clear();
        }
    }
}

/// A browser with a profile of its own, its driver, and the threads that speak with them. They end with this value.
struct Running {
    runtime: Runtime,
    client: Client,
    _chromedriver: Chromedriver,
}

impl Running {
    fn start(options: &Value) -> Self {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let chromedriver = Chromedriver::start();
        let client = runtime.block_on(chromedriver.open_browser(options));
        Self { runtime, client, _chromedriver: chromedriver }
    }

    /// Gives the browser back after a success; a failing test's browser ends with it.
    fn visit(self, test: impl AsyncFnOnce(&Browser) -> Outcome) -> Self {
        let browser = Browser(self.client.clone());
        self.runtime.block_on(test(&browser)).unwrap();
        self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let closed = self.runtime.block_on(self.client.clone().close());
        if !thread::panicking() {
            closed.unwrap();
        }
    }
}

/// The browser of one test, and what people do with one.
pub(crate) struct Browser(Client);

impl Browser {
    /// Serves an application until the browser ends, and says where: on a host whose cookies no other test has.
    pub(crate) async fn serve(&self, app: Router) -> String {
        static HOSTS: AtomicUsize = AtomicUsize::new(0);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await });
        format!("http://{}.localhost:{port}", HOSTS.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) async fn open(&self, url: &str) -> Outcome {
        self.0.goto(url).await
    }

    /// A picture of the whole page as a PNG, in a window of this width.
    pub(crate) async fn picture(&self, width: u32) -> Outcome<Vec<u8>> {
        self.0.set_window_size(width, 600).await?;
        let height = self.run("return document.documentElement.scrollHeight + outerHeight - innerHeight").await?;
        self.0.set_window_size(width, u32::try_from(height.as_u64().unwrap()).unwrap()).await?;
        self.0.screenshot().await
    }

    pub(crate) async fn reload(&self) -> Outcome {
        self.0.refresh().await
    }

    pub(crate) async fn go_back(&self) -> Outcome {
        self.0.back().await
    }

    pub(crate) async fn url(&self) -> Outcome<String> {
        Ok(self.0.current_url().await?.into())
    }

    /// The tab that is open, and another one.
    pub(crate) async fn two_tabs(&self) -> Outcome<[WindowHandle; 2]> {
        Ok([self.0.window().await?, self.0.new_window(true).await?.handle])
    }

    pub(crate) async fn turn_to(&self, tab: &WindowHandle) -> Outcome {
        self.0.switch_to_window(tab.clone()).await
    }

    /// Closes the tab that is open, and turns to another one.
    pub(crate) async fn close_for(&self, other: &WindowHandle) -> Outcome {
        self.0.close_window().await?;
        self.turn_to(other).await
    }

    pub(crate) async fn click(&self, css: &str) -> Outcome {
        self.find(css).await?.click().await
    }

    /// Clicks on what leads to another page, and waits for that page: a driver does not wait for a form's answer.
    pub(crate) async fn follow(&self, css: &str) -> Outcome {
        self.run(LEAVING).await?;
        self.click(css).await?;
        self.arrive().await;
        Ok(())
    }

    /// Waits until the page has such an element, which a script adds.
    pub(crate) async fn wait_for(&self, css: &str) {
        let begun = Instant::now();
        while self.find(css).await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "no {css} comes");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits for the page after one in which [`LEAVING`] was run.
    pub(crate) async fn arrive(&self) {
        let begun = Instant::now();
        // Between two pages a script may fail.
        while self.run("return !window.isLeft && document.readyState === 'complete'").await.ok() != Some(true.into()) {
            assert!(begun.elapsed() < PATIENCE, "the next page does not come");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Replaces what a field holds.
    pub(crate) async fn type_into(&self, css: &str, text: &str) -> Outcome {
        let field = self.find(css).await?;
        field.clear().await?;
        field.send_keys(text).await
    }

    pub(crate) async fn text(&self, css: &str) -> Outcome<String> {
        self.find(css).await?.text().await
    }

    /// The texts of all that matches.
    pub(crate) async fn texts(&self, css: &str) -> Outcome<Vec<String>> {
        let mut texts = Vec::new();
        for element in self.0.find_all(Locator::Css(css)).await? {
            texts.push(element.text().await?);
        }
        Ok(texts)
    }

    pub(crate) async fn attribute(&self, css: &str, name: &str) -> Outcome<String> {
        Ok(self.find(css).await?.attr(name).await?.unwrap_or_default())
    }

    /// What stands in a field.
    pub(crate) async fn value(&self, css: &str) -> Outcome<String> {
        Ok(self.find(css).await?.prop("value").await?.unwrap_or_default())
    }

    pub(crate) async fn source(&self) -> Outcome<String> {
        self.0.source().await
    }

    /// Runs a script in the page, and waits for the promise that it returns.
    pub(crate) async fn run(&self, script: &str) -> Outcome<Value> {
        self.0.execute(script, Vec::new()).await
    }

    pub(crate) async fn cookie(&self, name: &str) -> Outcome<Cookie<'static>> {
        self.0.get_named_cookie(name).await
    }

    /// The names of the cookies that the page's address would be sent.
    pub(crate) async fn cookie_names(&self) -> Outcome<Vec<String>> {
        Ok(self.0.get_all_cookies().await?.iter().map(|cookie| cookie.name().to_owned()).collect())
    }

    async fn find(&self, css: &str) -> Outcome<Element> {
        self.0.find(Locator::Css(css)).await
    }
}

/// A chromedriver on a free port, which ends with this value.
struct Chromedriver {
    process: Child,
    url: String,
}

impl Chromedriver {
    /// On a busy machine one of many that start at once may end at once.
    fn start() -> Self {
        session_test_servers::expect_servers();
        let started = (0..3).find_map(|_| Self::try_start());
        started.unwrap_or_else(|| panic!("chromedriver did not say on which port it listens"))
    }

    fn try_start() -> Option<Self> {
        let mut process = Command::new(on_the_path(&["chromedriver"]))
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let said = BufReader::new(process.stdout.take().expect("its output is a pipe")).lines().map_while(Result::ok);
        let port = said.into_iter().find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse::<u16>().ok()
        });
        // It ends with this value, also without a port.
        let chromedriver = Self { process, url: format!("http://127.0.0.1:{}", port.unwrap_or_default()) };
        port.map(|_| chromedriver)
    }

    async fn open_browser(&self, options: &Value) -> Client {
        let mut options = options.clone();
        options["binary"] = on_the_path(CHROMIUM).to_string_lossy().into();
        ClientBuilder::new(HttpConnector::new())
            .capabilities(Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)]))
            .connect(&self.url)
            .await
            .expect("chromedriver opens a Chromium of its own version")
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn on_the_path(names: &[&str]) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = names.iter().flat_map(|name| env::split_paths(&path).map(move |directory| directory.join(name)));
    places.find(|place| place.is_file()).unwrap_or_else(|| {
        panic!(
            "there is no `{}` on the PATH: ./tests/run installs it on Debian and Ubuntu (or by hand: apt-get install \
             chromium chromium-driver); elsewhere install Chromium or Chrome and the chromedriver of its version",
            names[0]
        )
    })
}

/// Marks a page, so that the next one is told from it.
pub(crate) const LEAVING: &str = "window.isLeft = true;";

const PATIENCE: Duration = Duration::from_secs(10);

const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// Without a sandbox, which a container lacks, and without a word to anybody outside.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--window-size=1280,800",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
