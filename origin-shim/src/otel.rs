//! Spans for an OpenTelemetry collector: OTLP over HTTP, as JSON.
//!
//! Configured by the variables that OpenTelemetry names: `OTEL_EXPORTER_OTLP_ENDPOINT` (or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`), `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`.
//! Requests hand their spans over and go on; what is too much is dropped and counted.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::rustls::crypto::ring;

use crate::request_log::Line;

/// Spans that wait to be sent at most.
const WAITING_MAX: usize = 8192;
/// Spans of one message at most.
const BATCH: usize = 512;
/// A message waits so long for others to go with it.
const GATHERING: Duration = Duration::from_secs(1);
/// A collector has this long to take a message.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The process does not wait longer than this for what is left.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Sends spans, from a thread of its own.
#[derive(Debug)]
pub struct Exporter {
    spans: mpsc::Sender<Message>,
    counts: Arc<Counts>,
}

#[derive(Debug)]
enum Message {
    Span(Box<Finished>),
    /// All is to be sent that came before; the other end hears of that.
    End(oneshot::Sender<()>),
}

#[derive(Debug)]
struct Finished {
    line: Line,
    parent: Option<u64>,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// Where spans go.
#[derive(Debug)]
pub struct Collector {
    url: Uri,
    fields: HeaderMap,
    service: String,
}

/// A variable that says nothing of use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadVariable {
    name: &'static str,
    hint: &'static str,
}

impl Collector {
    /// The one that `environment` names, if it names one.
    ///
    /// # Errors
    /// If what it says is no URL, or there are no fields in it.
    pub fn from_environment(
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, BadVariable> {
        const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const FIELDS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
        let said = |name: &str| environment(name).filter(|text| !text.trim().is_empty());
        let (name, url) = match (said(TRACES), said(ALL)) {
            (Some(url), _) => (TRACES, url),
            (None, Some(base)) => (ALL, format!("{}/v1/traces", base.trim_end_matches('/'))),
            (None, None) => return Ok(None),
        };
        let hint = "write a URL like http://127.0.0.1:4318";
        let url: Uri = url.parse().map_err(|_| BadVariable { name, hint })?;
        if !matches!(url.scheme_str(), Some("http" | "https")) || url.authority().is_none() {
            return Err(BadVariable { name, hint });
        }
        let hint = "write fields like authorization=Bearer%20x,other=y";
        let bad = BadVariable { name: FIELDS, hint };
        let fields = said(FIELDS).unwrap_or_default();
        let fields = read_fields(&fields).ok_or(bad)?;
        let service = said("OTEL_SERVICE_NAME").unwrap_or_else(|| "tidegate".into());
        Ok(Some(Self { url, fields, service }))
    }
}

/// Names and percent-encoded values (W3C Baggage without properties).
fn read_fields(text: &str) -> Option<HeaderMap> {
    let mut fields = HeaderMap::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().ok()?;
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        fields.append(name.trim().parse::<HeaderName>().ok()?, value);
    }
    Some(fields)
}

impl Exporter {
    /// Sends to this collector from now on.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(collector: Collector) -> std::io::Result<Self> {
        let (sender, spans) = mpsc::channel(WAITING_MAX);
        let counts = Arc::<Counts>::default();
        let sending = Sending { client: client()?, collector, counts: Arc::clone(&counts) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("tidegate-otel".into())
            .spawn(move || runtime.block_on(sending.run(spans)))?;
        Ok(Self { spans: sender, counts })
    }

    /// Hands over the span of a request, unless too many wait.
    pub(crate) fn export(&self, line: Line, parent: Option<u64>) {
        let span = Message::Span(Box::new(Finished { line, parent }));
        if self.spans.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many a collector has taken, and how many not.
    pub fn counts(&self) -> (u64, u64) {
        let [sent, dropped] = [&self.counts.sent, &self.counts.dropped];
        (sent.load(Ordering::Relaxed), dropped.load(Ordering::Relaxed))
    }

    /// Waits until what was handed over is sent, but not for long.
    pub async fn end(&self) {
        let (done, is_done) = oneshot::channel();
        let end = async {
            if self.spans.send(Message::End(done)).await.is_ok() {
                let _ = is_done.await;
            }
        };
        let _ = tokio::time::timeout(LAST_SPANS, end).await;
    }
}

type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

fn client() -> std::io::Result<HttpClient> {
    let https = HttpsConnectorBuilder::new();
    let https = https.with_provider_and_native_roots(ring::default_provider())?.https_or_http();
    Ok(Client::builder(TokioExecutor::new()).build(https.enable_http1().build()))
}

struct Sending {
    client: HttpClient,
    collector: Collector,
    counts: Arc<Counts>,
}

impl Sending {
    async fn run(self, mut spans: mpsc::Receiver<Message>) {
        while let Some(first) = spans.recv().await {
            let (mut batch, mut end) = (Vec::with_capacity(BATCH), None);
            let mut put = |message| match message {
                Message::Span(span) => {
                    batch.push(span);
                    batch.len() < BATCH
                }
                Message::End(done) => {
                    end = Some(done);
                    false
                }
            };
            if put(first) {
                let gather = async {
                    while let Some(next) = spans.recv().await {
                        if !put(next) {
                            return;
                        }
                    }
                };
                let _ = tokio::time::timeout(GATHERING, gather).await;
            }
            self.send(&batch).await;
            if let Some(done) = end {
                // Nobody may wait any more.
                let _ = done.send(());
            }
        }
    }

    async fn send(&self, batch: &[Box<Finished>]) {
        if batch.is_empty() {
            return;
        }
        let count =
            if self.is_taken(batch).await { &self.counts.sent } else { &self.counts.dropped };
        count.fetch_add(batch.len() as u64, Ordering::Relaxed);
    }

    async fn is_taken(&self, batch: &[Box<Finished>]) -> bool {
        let body = message(&self.collector.service, batch).to_string();
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.collector.url.clone();
        request.headers_mut().clone_from(&self.collector.fields);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let answered = tokio::time::timeout(TIMEOUT, self.client.request(request)).await;
        matches!(answered, Ok(Ok(answer)) if answer.status() == StatusCode::OK)
    }
}

/// An `ExportTraceServiceRequest` in OTLP's JSON: identifiers in hex, 64-bit numbers as text.
fn message(service: &str, batch: &[Box<Finished>]) -> Value {
    json!({
        "resourceSpans": [{
            "resource": { "attributes": [text("service.name", service)] },
            "scopeSpans": [{
                "scope": { "name": "tidegate", "version": env!("CARGO_PKG_VERSION") },
                "spans": batch.iter().filter_map(|span| describe(span)).collect::<Vec<_>>(),
            }],
        }],
    })
}

fn describe(Finished { line, parent }: &Finished) -> Option<Value> {
    /// What answers a request from elsewhere.
    const SERVER: u8 = 2;
    const ERROR: u8 = 2;
    let place = line.span?;
    let end = u128::from(line.at.as_millis()) * 1_000_000;
    let begin = end.saturating_sub(line.took.as_nanos());
    let mut attributes = vec![
        text("http.request.method", line.method.as_str()),
        text("url.path", &line.path),
        json!({ "key": "http.response.status_code",
            "value": { "intValue": line.status.to_string() } }),
        text("tidegate.cache", &line.outcome),
    ];
    if !line.route.is_empty() {
        attributes.push(text("tidegate.route", &line.route));
    }
    if !line.reason.is_empty() {
        attributes.push(text("tidegate.reason", &line.reason));
    }
    let name = [line.method.as_str(), &line.route].join(" ");
    let mut span = json!({
        "traceId": format!("{:032x}", place.trace()),
        "spanId": format!("{:016x}", place.span()),
        "name": name.trim_end(),
        "kind": SERVER,
        "startTimeUnixNano": begin.to_string(),
        "endTimeUnixNano": end.to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = json!(format!("{parent:016x}"));
    }
    if line.status >= 500 {
        span["status"] = json!({ "code": ERROR });
    }
    Some(span)
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

impl fmt::Display for BadVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variable `{}` says nothing of use\n= hint: {}", self.name, self.hint)
    }
}

impl std::error::Error for BadVariable {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use tidegate_core::Timestamp;
    use tidegate_core::headers::traceparent::TraceParent;

    fn line(path: &str, status: u16) -> Line {
        Line {
            at: Timestamp::from_secs(1_795_000_000),
            route: "api".into(),
            method: Method::GET,
            path: path.into(),
            status,
            outcome: "MISS".into(),
            reason: "uri-miss".into(),
            took: Duration::from_millis(5),
            span: TraceParent::root(7, 9, true),
        }
    }

    /// Takes one message, and answers with this status: its head, and what it says.
    fn take(listener: &TcpListener, status: &str) -> (String, Value) {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0);
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        (head, serde_json::from_slice(&body).unwrap())
    }

    fn collector(environment: &[(&str, &str)]) -> Result<Option<Collector>, BadVariable> {
        let of = |name: &str| environment.iter().find(|(known, _)| *known == name);
        Collector::from_environment(|name| of(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn p10_a_collector_gets_the_spans_of_requests() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let collector = collector(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x"),
            ("OTEL_SERVICE_NAME", "gate"),
        ]);
        let exporter = Exporter::start(collector.unwrap().unwrap()).unwrap();
        exporter.export(line("/a", 200), Some(5));
        exporter.export(line("/b", 502), None);
        let (head, told) = take(&listener, "200 OK");
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/json\r\n"), "{head}");
        assert!(head.contains("authorization: bearer x\r\n"), "{head}");
        let resource = &told["resourceSpans"][0];
        assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "gate");
        let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
        let [first, second] = &spans[..] else { panic!("{told}") };
        assert_eq!(first["traceId"], "00000000000000000000000000000007");
        assert_eq!(first["spanId"], "0000000000000009");
        assert_eq!(first["parentSpanId"], "0000000000000005");
        assert_eq!(first["name"], "GET api");
        assert_eq!(first["endTimeUnixNano"], "1795000000000000000");
        assert_eq!(first["startTimeUnixNano"], "1794999999995000000");
        assert!(first.get("status").is_none() && second.get("parentSpanId").is_none());
        assert_eq!(second["status"]["code"], 2);
        let status = &second["attributes"][2];
        assert_eq!(status["value"]["intValue"], "502");
    }

    #[test]
    fn p10_what_a_collector_does_not_take_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let collector = collector(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)]);
        let exporter = Exporter::start(collector.unwrap().unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let taking = thread::spawn(move || {
            let first = take(&listener, "503 Service Unavailable").0;
            (first, take(&listener, "200 OK").0)
        });
        exporter.export(line("/a", 200), None);
        runtime.block_on(exporter.end());
        assert_eq!(exporter.counts(), (0, 1));
        exporter.export(line("/b", 200), None);
        runtime.block_on(exporter.end());
        assert_eq!(exporter.counts(), (1, 1));
        let (first, _) = taking.join().unwrap();
        assert!(first.starts_with("post / http/1.1\r\n"), "{first}");
    }

    #[test]
    fn p10_variables_of_no_use_are_told() {
        assert!(collector(&[]).unwrap().is_none());
        assert!(collector(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap().is_none());
        for url in ["127.0.0.1:4318", "grpc://a:1", "http://", "nonsense"] {
            let bad = collector(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]).unwrap_err();
            assert_eq!(bad.name, "OTEL_EXPORTER_OTLP_ENDPOINT", "{url}");
        }
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1");
        for fields in ["hidden", "a b=hidden", "a=%00hidden"] {
            let bad = collector(&[endpoint, ("OTEL_EXPORTER_OTLP_HEADERS", fields)]).unwrap_err();
            assert_eq!(bad.name, "OTEL_EXPORTER_OTLP_HEADERS", "{fields}");
            assert!(!bad.to_string().contains("hidden"), "secrets are not told");
        }
    }
}
