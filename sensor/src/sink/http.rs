//! Serves `/metrics`, `/healthz` and `/readyz` over HTTP/1.1, to clients that may be slow, many or hostile.
//!
//! Bounds: connections at once, time and bytes for a request, time for a connection, pages in memory. Where all
//! connections are taken and none ends soon, the oldest makes room, so that idle clients cannot lock out the kubelet.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info};

use super::{Health, Metrics};

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Time until a request's headers are read.
    pub header_time: Duration,
    /// Time for a whole connection.
    pub connection_time: Duration,
    /// How long a newcomer waits for a free place before the oldest connection is closed for it.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            header_time: Duration::from_secs(5),
            connection_time: Duration::from_secs(30),
            patience: Duration::from_millis(250),
        }
    }
}

/// Bytes of a request's headers (the least that hyper takes), and their number.
const REQUEST_BYTES: usize = 8192;
const REQUEST_HEADERS: usize = 32;
/// A page of metrics is made anew after this time.
const PAGE_AGE: Duration = Duration::from_millis(250);
/// Different pages of metrics in memory at once; when clients hold that many, others get the newest of them.
const PAGES: usize = 4;

/// The server.
pub struct Server {
    limits: Limits,
    shared: Arc<Shared>,
}

struct Shared {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    pages: Mutex<Pages>,
}

impl Server {
    /// A server with the usual bounds.
    pub fn new(metrics: Arc<Metrics>, health: Arc<Health>) -> Self {
        Self::with(metrics, health, Limits::default())
    }

    /// A server with bounds of one's own.
    pub fn with(metrics: Arc<Metrics>, health: Arc<Health>, limits: Limits) -> Self {
        Self { limits, shared: Arc::new(Shared { metrics, health, pages: Mutex::default() }) }
    }

    /// Serves on a non-blocking listener until `stop` turns true or its sender goes.
    pub async fn run(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return error!(%error, "metrics are not served"),
        };
        if let Ok(address) = listener.local_addr() {
            info!("metrics on http://{address}/metrics");
        }
        let mut connections = Connections::default();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stop.wait_for(|&stop| stop) => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    connections.make_room(&self.limits).await;
                    connections.add(serve(stream, self.shared.clone(), self.limits));
                }
                Err(error) => {
                    // Out of descriptors, or the client has left already; without a pause this would spin.
                    debug!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// The connections in progress, the oldest first.
#[derive(Default)]
struct Connections {
    tasks: JoinSet<()>,
    order: VecDeque<AbortHandle>,
}

impl Connections {
    async fn make_room(&mut self, limits: &Limits) {
        while self.tasks.try_join_next().is_some() {}
        while self.tasks.len() >= limits.connections {
            if timeout(limits.patience, self.tasks.join_next()).await.is_err()
                && let Some(oldest) = self.order.iter().find(|task| !task.is_finished())
            {
                oldest.abort();
                self.tasks.join_next().await;
            }
        }
        self.order.retain(|task| !task.is_finished());
    }

    fn add(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.order.push_back(self.tasks.spawn(task));
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, limits: Limits) {
    let answer = service_fn(move |request: Request<hyper::body::Incoming>| {
        let response = shared.answer(request.method(), request.uri().path());
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time)
        .keep_alive(false)
        .max_buf_size(REQUEST_BYTES)
        .max_headers(REQUEST_HEADERS)
        .serve_connection(TokioIo::new(stream), answer);
    match timeout(limits.connection_time, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection failed"),
        Err(_) => debug!("a connection took too long"),
    }
}

impl Shared {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let known = ["/metrics", "/healthz", "/readyz"].contains(&path);
        if !known {
            return response(
                StatusCode::NOT_FOUND,
                TEXT,
                Bytes::from_static(b"see /metrics, /healthz, /readyz\n"),
            );
        }
        if method != Method::GET && method != Method::HEAD {
            let body = Bytes::from_static(b"only GET and HEAD\n");
            let mut response = response(StatusCode::METHOD_NOT_ALLOWED, TEXT, body);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/metrics" => {
                let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
                response(StatusCode::OK, METRICS, pages.get(|| self.metrics.page()))
            }
            "/healthz" => {
                let alive = self.health.is_alive();
                let age = self.health.heartbeat_age().as_millis() as u64;
                let body = serde_json::json!({ "alive": alive, "heartbeat_age_ms": age });
                status(alive, &body)
            }
            _ => {
                let reasons = self.health.not_ready();
                status(
                    reasons.is_empty(),
                    &serde_json::json!({ "ready": reasons.is_empty(), "reasons": reasons }),
                )
            }
        }
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn status(good: bool, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let status = if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    response(status, "application/json", Bytes::from(format!("{body}\n")))
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Pages of metrics in memory: the newest, and those that clients still read.
#[derive(Default)]
struct Pages {
    newest: Option<(Instant, Bytes)>,
    held: Vec<Weak<String>>,
}

/// What a page's bytes belong to; the weak reference tells when the last client has them.
struct PageOwner(Arc<String>);

impl AsRef<[u8]> for PageOwner {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Pages {
    fn get(&mut self, make: impl FnOnce() -> String) -> Bytes {
        self.held.retain(|page| page.strong_count() > 0);
        if let Some((made, page)) = &self.newest
            && (made.elapsed() < PAGE_AGE || self.held.len() >= PAGES)
        {
            return page.clone();
        }
        let owned = Arc::new(make());
        self.held.push(Arc::downgrade(&owned));
        let page = Bytes::from_owner(PageOwner(owned));
        self.newest = Some((Instant::now(), page.clone()));
        page
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::BuildInfo;
    use super::*;

    struct Running {
        address: std::net::SocketAddr,
        health: Arc<Health>,
        shared: Arc<Shared>,
        stop: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    fn start(limits: Limits) -> Running {
        let health = Arc::new(Health::default());
        let server = Server::with(Arc::new(Metrics::new(BuildInfo::default())), health.clone(), limits);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let shared = server.shared.clone();
        Running { address, health, shared, stop, task: tokio::spawn(server.run(listener, stopped)) }
    }

    impl Running {
        async fn send(&self, request: &str) -> String {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            answer
        }

        async fn get(&self, path: &str) -> String {
            self.send(&format!("GET {path} HTTP/1.1\r\nHost: sensor\r\n\r\n")).await
        }
    }

    #[tokio::test]
    async fn the_three_pages_and_nothing_else() {
        let server = start(Limits::default());
        let metrics = server.get("/metrics").await;
        assert!(metrics.starts_with("HTTP/1.1 200 OK"), "{metrics}");
        assert!(metrics.contains(METRICS) && metrics.contains("stride_sensor_build_info"), "{metrics}");
        assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200 OK"));
        let not_ready = server.get("/readyz").await;
        assert!(not_ready.starts_with("HTTP/1.1 503"), "{not_ready}");
        assert!(not_ready.ends_with(
            "{\"ready\":false,\"reasons\":[\"the hooks are not attached\",\"the rules are not loaded\"]}\n"
        ));
        server.health.set_hooks_attached(true);
        server.health.set_rules_loaded(true);
        let ready = server.get("/readyz").await;
        assert!(
            ready.starts_with("HTTP/1.1 200") && ready.ends_with("{\"ready\":true,\"reasons\":[]}\n"),
            "{ready}"
        );
        assert!(server.get("/").await.starts_with("HTTP/1.1 404"));
        assert!(server.get("/metrics/../etc/passwd").await.starts_with("HTTP/1.1 404"));
        let post = server.send("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
        assert!(post.starts_with("HTTP/1.1 405") && post.contains("allow: GET, HEAD"), "{post}");
        let head = server.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[tokio::test]
    async fn requests_that_are_too_large_or_no_http_are_refused() {
        let server = start(Limits::default());
        let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(REQUEST_BYTES));
        assert!(server.send(&long).await.starts_with("HTTP/1.1 431"));
        let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(REQUEST_HEADERS + 1));
        assert!(server.send(&many).await.starts_with("HTTP/1.1 431"));
        let garbage = server.send("\u{16}\u{3}\u{1}garbage\r\n\r\n").await;
        assert!(garbage.is_empty() || garbage.starts_with("HTTP/1.1 400"), "{garbage}");
        assert!(server.get("/healthz").await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn a_client_that_never_ends_its_request_is_closed() {
        let server = start(Limits { header_time: Duration::from_millis(200), ..Limits::default() });
        let begin = Instant::now();
        let answer = server.send("GET /metrics HTTP/1.1\r\nHost: ").await;
        assert!(!answer.contains("200 OK") && begin.elapsed() < Duration::from_secs(5), "{answer}");
    }

    #[tokio::test]
    async fn a_connection_that_takes_too_long_is_closed() {
        let server = start(Limits { connection_time: Duration::from_millis(200), ..Limits::default() });
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").await.unwrap();
        let mut answer = Vec::new();
        let ended = timeout(Duration::from_secs(4), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok());
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off_and_its_page_freed() {
        let server = start(Limits { connection_time: Duration::from_millis(500), ..Limits::default() });
        let mut finding = super::super::tests::summary();
        for number in 0..4000 {
            finding.id = format!("{number:04000}");
            server.shared.metrics.finding(&finding, 0);
        }
        let length = server.shared.metrics.page().len();
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        sleep(Duration::from_millis(1000)).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 200") && answer.len() < length, "{} of {length}", answer.len());
        let mut pages = server.shared.pages.lock().unwrap();
        pages.newest = None;
        assert!(pages.held.iter().all(|page| page.strong_count() == 0));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_hundred_at_once_are_all_answered() {
        let server = Arc::new(start(Limits::default()));
        let clients: Vec<_> = (0..100)
            .map(|_| {
                let server = server.clone();
                tokio::spawn(async move { server.get("/metrics").await })
            })
            .collect();
        for client in clients {
            assert!(client.await.unwrap().starts_with("HTTP/1.1 200 OK"));
        }
    }

    #[tokio::test]
    async fn idle_clients_on_every_place_do_not_lock_out_a_newcomer() {
        let server = start(Limits { patience: Duration::from_millis(20), ..Limits::default() });
        let mut idle = Vec::new();
        for _ in 0..100 {
            idle.push(TcpStream::connect(server.address).await.unwrap());
        }
        let answer = timeout(Duration::from_secs(4), server.get("/healthz")).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn stopping_ends_the_server_with_its_connections() {
        let server = start(Limits::default());
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(b"GET ").await.unwrap();
        server.stop.send_replace(true);
        timeout(Duration::from_secs(2), server.task).await.unwrap().unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
    }

    #[test]
    fn pages_held_by_slow_clients_are_bounded() {
        let mut pages = Pages::default();
        let mut made = 0;
        let mut get = |pages: &mut Pages| {
            pages.newest = pages.newest.take().map(|(_, page)| (Instant::now() - PAGE_AGE, page));
            pages.get(|| {
                made += 1;
                format!("page {made}")
            })
        };
        let held: Vec<Bytes> = (0..10).map(|_| get(&mut pages)).collect();
        assert_eq!(held[PAGES - 1], held[9]);
        assert_eq!(held[9], format!("page {PAGES}"));
        drop(held);
        assert_eq!(get(&mut pages), format!("page {}", PAGES + 1));
    }
}
