//! An origin that answers when a test says so, and byte by byte what it says.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Duration,
};

/// How long a question may be on its way.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listening origin; its threads end with the process.
#[derive(Debug)]
pub struct HeldOrigin {
    address: SocketAddr,
    asked: Receiver<Question>,
}

/// A request without a body that waits for its answer.
#[derive(Debug)]
pub struct Question {
    /// The head, as it came.
    pub head: String,
    stream: TcpStream,
}

impl HeldOrigin {
    /// Listens on a port of its own.
    ///
    /// # Panics
    /// If the system has none.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (ask, asked) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let ask = ask.clone();
                // A connection that breaks off is the gate's business.
                thread::spawn(move || drop(serve(stream, &ask)));
            }
        });
        Self { address, asked }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next question.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    #[must_use]
    pub fn next(&self) -> Question {
        self.asked.recv_timeout(PATIENCE).expect("the origin is asked")
    }

    /// Answers every question by `answer`, from now on.
    pub fn answer_by(self, mut answer: impl FnMut(Question) + Send + 'static) {
        thread::spawn(move || self.asked.into_iter().for_each(&mut answer));
    }

    /// The next question, if it is there.
    #[must_use]
    pub fn waiting(&self) -> Option<Question> {
        self.asked.try_recv().ok()
    }
}

impl Question {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// The target that is asked for.
    #[must_use]
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Answers with 200, these lines and this body.
    pub fn answer(self, lines: &str, body: &str) {
        self.answer_with("200 OK", lines, body);
    }

    /// Answers with this status, these lines and this body.
    pub fn answer_with(mut self, status: &str, lines: &str, body: &str) {
        let length = body.len();
        self.write(&format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{lines}\r\n{body}"));
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &str) {
        // Whoever asked may have gone.
        let _ = self.stream.write_all(bytes.as_bytes());
    }

    /// Breaks off.
    pub fn hang_up(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn serve(stream: TcpStream, ask: &Sender<Question>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if lines.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let question = Question { head, stream: stream.try_clone()? };
        if ask.send(question).is_err() {
            return Ok(());
        }
    }
}
