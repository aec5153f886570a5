//! Whole runs against servers that behave in known ways.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_load::{Destination, Phase, Plan, Report, Section, Timeline, run};
use tidegate_traffic::Mix;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, sleep_until};

/// Users that ask for one page after the other, each at once for all of `targets`.
fn mix(think_seconds: f64, targets: &[&str]) -> Mix {
    let mut text = format!(
        "host = \"www.example.com\"\n[people]\nteam_size = 8\nteam_exponent = 0.7\n\
         same_office = 0.0\nplugins = 10\nplugin_exponent = 1.0\npages = 1e9\n\
         think_seconds = {think_seconds}\nreturning = 0.0\nabsent_hours = 1.0\n\
         [day]\nhours = {:?}\n",
        [1.0; 24]
    );
    for (number, target) in targets.iter().enumerate() {
        text += &format!(
            "[endpoints.e{number}]\nkind = \"read\"\ntarget = \"{target}\"\nbytes = 1\nmillis = 1\n"
        );
    }
    let names: Vec<String> = (0..targets.len()).map(|number| format!("e{number}")).collect();
    text += &format!("[[pages]]\nname = \"page\"\nfirst = 1\nweight = 1\nrequests = {names:?}\n");
    Mix::read(&text).expect("a mix")
}

async fn found(address: SocketAddr, users: u32, mix: Mix, phases: &[&str]) -> Report {
    let phases: Vec<Phase> = phases.iter().map(|phase| phase.parse().expect("a phase")).collect();
    let users = NonZeroU32::new(users).expect("users");
    let plan = Plan {
        destination: Destination::new(&format!("http://{address}"), false).expect("loopback"),
        users,
        people: users,
        timeline: Timeline::new(Duration::from_secs(1), phases),
        mix,
        timeout: Duration::from_secs(2),
        seed: 1,
        targets: "errors<1%".parse().expect("targets"),
    };
    run(plan, |_| {}).await.expect("a run")
}

/// Serves on a port of its own; what is answered to a path is raw HTTP, or nothing.
async fn serve<A, F>(answer: A) -> SocketAddr
where
    A: Fn(String) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Option<String>> + Send,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                // Whoever leaves has asked for nothing less.
                let _ = converse(stream, answer).await;
            });
        }
    });
    address
}

async fn converse<A, F>(mut stream: TcpStream, answer: A) -> io::Result<()>
where
    A: Fn(String) -> F,
    F: Future<Output = Option<String>>,
{
    let mut read = Vec::new();
    loop {
        while let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = read.drain(..end + 4).collect();
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let Some(answer) = answer(path).await else { return Ok(()) };
            stream.write_all(answer.as_bytes()).await?;
        }
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(());
        }
    }
}

fn answer(status: &str, fields: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n{fields}\r\nok"))
}

/// Four users who each ask 20 times a second, and a server that answers nobody for a second and a
/// half: each user has one slow answer, and 30 that come late since they were to be asked meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn t4_a_server_that_stalls_is_slow_for_all_who_would_have_asked_meanwhile() {
    let begun = Instant::now();
    let address = serve(move |_| async move {
        let (from, until) = (Duration::from_millis(2_000), Duration::from_millis(3_500));
        if (from..until).contains(&begun.elapsed()) {
            sleep_until(begun + until).await;
        }
        answer("200 OK", "")
    })
    .await;
    let report = found(address, 4, mix(0.05, &["/"]), &["steady=5s"]).await;
    let (corrected, sent) = (report.all.latency_ms, report.all.uncorrected_latency_ms);
    assert!(report.passed && report.all.requests > 200, "{report}");
    // Of five seconds one and a half: three requests of ten, which waited from none to all of it.
    assert!(corrected.p95 > 800.0, "{corrected:?}");
    assert!(sent.p95 < 400.0, "{sent:?}");
    assert!(corrected.max >= sent.max, "{corrected:?} {sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_errors_are_told_apart_and_refusals_by_limits_are_none() {
    let address = serve(|path| async move {
        match &*path {
            "/missing" => answer("404 Not Found", ""),
            "/failing" => answer("503 Service Unavailable", ""),
            "/limited" => answer("429 Too Many Requests", ""),
            "/cut" => None,
            "/late" => {
                sleep(Duration::from_secs(4)).await;
                None
            }
            "/hit" => answer("200 OK", "Cache-Status: a; fwd=uri-miss, b; hit\r\n"),
            "/miss" => answer("200 OK", "Cache-Status: a; fwd=uri-miss\r\n"),
            _ => answer("200 OK", "Cache-Status: a; fwd=bypass\r\n"),
        }
    })
    .await;
    let paths = ["/missing", "/failing", "/limited", "/cut", "/late", "/hit", "/miss", "/bypass"];
    let report = found(address, 3, mix(0.5, &paths), &["steady=3s"]).await;
    // A page may lie across a border, so that all phases are added up.
    let sum = |of: fn(&Section) -> u64| report.phases.iter().map(of).sum::<u64>();
    let pages = sum(|phase| phase.misses);
    assert!(pages >= 3, "{report}");
    assert_eq!(sum(|phase| phase.hits.get("b").copied().unwrap_or(0)), pages);
    assert_eq!((sum(|phase| phase.bypassed), sum(|phase| phase.limited)), (pages, pages));
    assert_eq!(sum(|phase| phase.errors.values().sum()), 4 * pages, "{report}");
    let errors = &report.all.errors;
    assert_eq!(errors.keys().copied().collect::<Vec<_>>(), ["4xx", "5xx", "reset", "time-out"]);
    assert_eq!(sum(|phase| phase.errors.get("reset").copied().unwrap_or(0)), pages, "{report}");
    assert!(!report.passed, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_where_nobody_listens_all_is_refused() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let report = found(address, 2, mix(0.2, &["/"]), &["steady=1s"]).await;
    assert_eq!(report.all.errors.keys().copied().collect::<Vec<_>>(), ["refused"]);
    assert_eq!(report.all.error_share, 1.0);
}

/// What happens to the server when a phase is announced happens within it.
#[tokio::test(flavor = "multi_thread")]
async fn t4_phases_are_announced_when_they_begin_and_reported_apart() {
    let said = Arc::new(Mutex::new("ramp".to_owned()));
    let says = Arc::clone(&said);
    let address =
        serve(move |_| {
            let is_down = *says.lock().expect("what was said") == "down";
            async move {
                if is_down { answer("503 Service Unavailable", "") } else { answer("200 OK", "") }
            }
        })
        .await;
    let users = NonZeroU32::new(5).expect("users");
    let phases = ["before=2s", "down=2s", "after=2s"].map(|phase| phase.parse().expect("a phase"));
    let plan = Plan {
        destination: Destination::new(&format!("http://{address}"), false).expect("loopback"),
        users,
        people: users,
        timeline: Timeline::new(Duration::from_secs(1), phases.into()),
        mix: mix(0.1, &["/"]),
        timeout: Duration::from_secs(2),
        seed: 1,
        targets: "before:errors<10%,after:errors<10%".parse().expect("targets"),
    };
    let begins = move |phase: &Phase| phase.name.clone_into(&mut said.lock().expect("a name"));
    let report = run(plan, begins).await.expect("a run");
    let shares: Vec<f64> = report.phases.iter().map(|section| section.error_share).collect();
    // At the borders a request may fall on the other side.
    assert!(shares[1] < 0.1 && shares[2] > 0.9 && shares[3] < 0.1, "{report}");
    assert!(report.passed, "{report}");
}
