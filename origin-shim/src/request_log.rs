//! A line of JSON for each request, if the policy wants one, on standard output.
//!
//! Requests hand their lines to a thread of its own and go on. If that cannot write as fast as
//! they come, lines are dropped and counted, and no request waits.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::json;
use tidegate_core::Timestamp;
use tidegate_core::headers::traceparent::TraceParent;
use tidegate_core::time::rfc3339::Rfc3339;

/// Lines that wait to be written at most.
const WAITING_MAX: usize = 4096;
/// So much is written at once.
const BUFFER: usize = 64 * 1024;
/// The process does not wait longer than this for what is left to write.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Writes lines from when the first one comes.
#[derive(Debug, Default)]
pub struct RequestLog {
    writer: OnceLock<Option<SyncSender<Message>>>,
    dropped: AtomicU64,
}

#[derive(Debug)]
enum Message {
    Line(Box<Line>),
    /// Everything is to be written that came before; the other end hears of that.
    End(SyncSender<()>),
}

/// What is written of a request: nothing secret, so that its query is left out.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) route: String,
    pub(crate) method: http::Method,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) outcome: String,
    pub(crate) reason: String,
    pub(crate) took: Duration,
    pub(crate) span: Option<TraceParent>,
}

impl RequestLog {
    /// Hands a line over, unless too many wait.
    pub(crate) fn write(&self, line: Line) {
        let sent = match self.writer.get_or_init(start) {
            Some(writer) => writer.try_send(Message::Line(Box::new(line))),
            None => return self.count_dropped(),
        };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sent {
            self.count_dropped();
        }
    }

    /// Lines that nobody has read: there were too many at once.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until what was handed over is written, but not for long.
    pub fn end(&self) {
        let Some(Some(writer)) = self.writer.get() else { return };
        let (done, is_done) = sync_channel(1);
        if writer.send(Message::End(done)).is_ok() {
            // Whoever reads may have stopped to.
            let _ = is_done.recv_timeout(LAST_LINES);
        }
    }

    fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn start() -> Option<SyncSender<Message>> {
    let (sender, lines) = sync_channel(WAITING_MAX);
    let thread = thread::Builder::new().name("tidegate-log".into());
    thread.spawn(move || write(&lines, &mut io::stdout())).ok().map(|_| sender)
}

/// Writes what comes: together what is there already, at once what comes alone.
fn write(lines: &Receiver<Message>, out: &mut impl Write) {
    let mut buffer = Vec::with_capacity(BUFFER);
    while let Ok(first) = lines.recv() {
        let mut next = Ok(first);
        let mut waiting = Vec::new();
        loop {
            match next {
                Ok(Message::Line(line)) => line.put(&mut buffer),
                Ok(Message::End(done)) => waiting.push(done),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            if buffer.len() >= BUFFER {
                break;
            }
            next = lines.try_recv();
        }
        // Without anybody who reads there is nobody to complain to.
        let _ = out.write_all(&buffer).and_then(|()| out.flush());
        buffer.clear();
        for done in waiting {
            // Nobody may wait any more.
            let _ = done.try_send(());
        }
    }
}

impl Line {
    fn put(&self, buffer: &mut Vec<u8>) {
        let mut line = json!({
            "log": "request",
            "time": Rfc3339(self.at).to_string(),
            "route": self.route,
            "method": self.method.as_str(),
            "path": self.path,
            "status": self.status,
            "outcome": self.outcome,
            "reason": self.reason,
            "ms": (self.took.as_micros() as f64) / 1000.0,
        });
        if let Some(span) = self.span {
            line["trace"] = json!(format!("{:032x}", span.trace()));
            line["span"] = json!(format!("{:016x}", span.span()));
        }
        // A buffer takes everything.
        let _ = writeln!(buffer, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> Line {
        Line {
            at: Timestamp::from_secs(1_795_000_000),
            route: "api".into(),
            method: http::Method::GET,
            path: path.into(),
            status: 200,
            outcome: "HIT".into(),
            reason: String::new(),
            took: Duration::from_micros(84),
            span: None,
        }
    }

    #[test]
    fn p10_a_line_is_json_whatever_is_in_it() {
        let mut buffer = Vec::new();
        line("/a\"\\\n\u{1}").put(&mut buffer);
        let text = String::from_utf8(buffer).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["path"], "/a\"\\\n\u{1}");
        assert_eq!(read["ms"], 0.084);
        assert!(read.get("trace").is_none());
    }

    #[test]
    fn p10_who_writes_too_slowly_costs_lines_and_no_time() {
        let (sender, lines) = sync_channel(2);
        let log = RequestLog { writer: OnceLock::from(Some(sender)), dropped: AtomicU64::new(0) };
        (0..5).for_each(|number| log.write(line(&format!("/{number}"))));
        assert_eq!(log.dropped(), 3);
        let mut written = Vec::new();
        drop(log);
        write(&lines, &mut written);
        assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 2);
    }

    #[test]
    fn p10_the_end_comes_after_all_lines() {
        let (sender, lines) = sync_channel(16);
        let log = RequestLog { writer: OnceLock::from(Some(sender)), dropped: AtomicU64::new(0) };
        let writer = thread::spawn(move || {
            let mut written = Vec::new();
            write(&lines, &mut written);
            written
        });
        (0..10).for_each(|number| log.write(line(&format!("/{number}"))));
        log.end();
        drop(log);
        let written = String::from_utf8(writer.join().unwrap()).unwrap();
        assert_eq!(written.lines().count(), 10);
        assert!(written.lines().last().unwrap().contains("\"/9\""));
    }
}
