//! Real JSON Web Tokens, and a server of key sets.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use serde_json::{Value, json};

/// Signs tokens by one key.
#[derive(Debug)]
pub struct Signer {
    kid: String,
    key: PrivateKey,
}

#[derive(Debug)]
enum PrivateKey {
    Secret(hmac::Key),
    Rsa(Box<rsa::KeyPair>),
    P256(Box<EcdsaKeyPair>),
}

impl Signer {
    /// HS256 with this secret.
    #[must_use]
    pub fn hs256(kid: &str, secret: &[u8]) -> Self {
        let key = PrivateKey::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret));
        Self { kid: kid.to_owned(), key }
    }

    /// RS256 with the key that RFC 7515 publishes in A.2: the library makes none.
    ///
    /// # Panics
    /// If the library does not take it.
    #[must_use]
    pub fn rs256(kid: &str) -> Self {
        let number = |name: &str| from_base64url(rfc7515_a2(name));
        let components = rsa::KeyPairComponents {
            public_key: rsa::PublicKeyComponents { n: number("n"), e: number("e") },
            d: number("d"),
            p: number("p"),
            q: number("q"),
            dP: number("dp"),
            dQ: number("dq"),
            qInv: number("qi"),
        };
        let pair = rsa::KeyPair::from_components(&components).expect("the RFC's key");
        Self { kid: kid.to_owned(), key: PrivateKey::Rsa(Box::new(pair)) }
    }

    /// ES256 with a key of its own.
    ///
    /// # Panics
    /// If the system has no random numbers.
    #[must_use]
    pub fn es256(kid: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a new key");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random);
        Self { kid: kid.to_owned(), key: PrivateKey::P256(Box::new(pair.expect("that key"))) }
    }

    /// The public key as a JWK.
    ///
    /// # Panics
    /// For a secret, which has none.
    #[must_use]
    pub fn jwk(&self) -> Value {
        match &self.key {
            PrivateKey::Secret(_) => panic!("a secret is not published"),
            PrivateKey::Rsa(_) => json!({
                "kty": "RSA", "kid": self.kid, "alg": "RS256", "use": "sig",
                "n": rfc7515_a2("n"), "e": rfc7515_a2("e"),
            }),
            PrivateKey::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({
                    "kty": "EC", "crv": "P-256", "kid": self.kid,
                    "x": to_base64url(x), "y": to_base64url(y),
                })
            }
        }
    }

    /// The public key as the policy names it.
    #[must_use]
    pub fn toml(&self) -> String {
        let jwk = self.jwk();
        let number = |name: &str| format!("{name} = {}", jwk[name]);
        match &self.key {
            PrivateKey::P256(_) => {
                format!(
                    "{{ kid = \"{}\", alg = \"ES256\", {}, {} }}",
                    self.kid,
                    number("x"),
                    number("y")
                )
            }
            _ => {
                format!(
                    "{{ kid = \"{}\", alg = \"RS256\", {}, {} }}",
                    self.kid,
                    number("n"),
                    number("e")
                )
            }
        }
    }

    /// A token of this user that is good for five minutes.
    #[must_use]
    pub fn token(&self, user: &str) -> String {
        self.claiming(json!({ "sub": user, "exp": now() + 300 }))
    }

    /// A token with these claims.
    #[must_use]
    pub fn claiming(&self, claims: Value) -> String {
        let alg = match &self.key {
            PrivateKey::Secret(_) => "HS256",
            PrivateKey::Rsa(_) => "RS256",
            PrivateKey::P256(_) => "ES256",
        };
        self.signing(json!({ "typ": "JWT", "alg": alg, "kid": self.kid }), claims)
    }

    /// A token with this header, whatever it says, signed by this key.
    ///
    /// # Panics
    /// If the library does not sign.
    #[must_use]
    pub fn signing(&self, header: Value, claims: Value) -> String {
        let [header, claims] =
            [header, claims].map(|json| to_base64url(json.to_string().as_bytes()));
        let input = format!("{header}.{claims}");
        let random = SystemRandom::new();
        let signature = match &self.key {
            PrivateKey::Secret(key) => hmac::sign(key, input.as_bytes()).as_ref().to_vec(),
            PrivateKey::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed =
                    pair.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature);
                signed.expect("a signature");
                signature
            }
            PrivateKey::P256(pair) => {
                let signed = pair.sign(&random, input.as_bytes());
                signed.expect("a signature").as_ref().to_vec()
            }
        };
        format!("{input}.{}", to_base64url(&signature))
    }
}

/// Seconds since 1970.
///
/// # Panics
/// If the clock says it is earlier.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs()
}

/// A server of key sets on loopback, for as long as the test runs.
#[derive(Clone, Debug)]
pub struct KeyServer {
    address: SocketAddr,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    /// A server that has these keys.
    ///
    /// # Panics
    /// If the system has no port left.
    #[must_use]
    pub fn with(keys: &[&Signer]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let server = Self { address, answer: Arc::default(), asked: Arc::default() };
        server.publish(keys);
        let answering = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that goes away is its own business.
                let _ = answering.answer(stream);
            }
        });
        server
    }

    /// The URL of the set.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/keys.json", self.address)
    }

    /// Has other keys from now on.
    pub fn publish(&self, keys: &[&Signer]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.say(200, &json!({ "keys": keys }).to_string());
    }

    /// Answers so from now on.
    ///
    /// # Panics
    /// If its thread panicked.
    pub fn say(&self, status: u16, body: &str) {
        *self.answer.lock().expect("a server that lives") = (status, body.to_owned());
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? == 1 {
            head.push(byte[0]);
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let (status, body) = self.answer.lock().expect("a server that lives").clone();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }
}

/// A number of the key in RFC 7515, A.2.
fn rfc7515_a2(name: &str) -> &'static str {
    match name {
        "n" => {
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1\
             Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpa\
             SHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4\
             LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
        }
        "e" => "AQAB",
        "d" => {
            "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwV\
             ol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzj\
             kn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaF\
             QT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ"
        }
        "p" => {
            "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0H\
             w_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc"
        }
        "q" => {
            "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7T\
             jeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc"
        }
        "dp" => {
            "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-F\
             OKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0"
        }
        "dq" => {
            "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do\
             9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU"
        }
        "qi" => {
            "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3yd\
             y5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"
        }
        other => panic!("the key has no {other}"),
    }
}

fn to_base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn from_base64url(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}
