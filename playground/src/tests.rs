use super::*;

const POLICY: &str = r#"
schema = 1
[identity]
credential = "authorization"
[limits.standard]
limit = "100 per 60s"
[[routes]]
name = "plugins"
match = "/plugins/*"
limit = "standard"
edge = { mode = "override", ttl = "${DAY:-1d}" }
origin = "bypass"
"#;

fn asked(change: impl FnOnce(&mut Question)) -> Answer {
    let mut question =
        Question { policy: POLICY.into(), url: "/plugins/./app.js".into(), ..Question::default() };
    change(&mut question);
    decide(&question)
}

#[test]
fn both_tiers_decide_and_say_which_line_made_them() {
    let answer = asked(|_| {});
    let asked = answer.asked.expect("a decision");
    assert_eq!(asked.url, "http://localhost/plugins/app.js");
    assert_eq!(asked.identity, "anonymous");
    let [edge, origin] = asked.decisions;
    assert_eq!((edge.tier, edge.decision), ("edge", "cache"));
    assert_eq!((origin.tier, origin.decision), ("origin", "bypass"));
    let ttl = edge.text.lines().find(|line| line.trim_start().starts_with("ttl "));
    assert_eq!(ttl, Some("  ttl                     1d  (line 11)"), "{}", edge.text);
    assert!(answer.errors.is_empty() && answer.policy.is_some());
}

#[test]
fn all_that_is_wrong_with_a_policy_is_said_at_its_line_with_a_hint() {
    let answer = asked(|question| {
        question.policy = POLICY.replace("limit = \"100 per 60s\"", "limit = 5\nbloc = \"1s\"");
    });
    let lines: Vec<usize> = answer.errors.iter().map(|error| error.line).collect();
    assert_eq!(lines, [6, 7]);
    assert!(answer.errors.iter().all(|error| !error.hint.is_empty() && error.code.is_none()));
    assert_eq!((answer.asked, answer.policy), (None, None));
}

#[test]
fn variables_and_the_user_come_from_the_page_alone() {
    let answer = asked(|question| {
        question.environment = "DAY = 2h\nnonsense".into();
        question.user = "ada".into();
    });
    let asked = answer.asked.expect("a decision");
    assert_eq!(asked.identity, "user ada");
    assert!(asked.decisions[0].text.contains("2h"), "{}", asked.decisions[0].text);
    assert!(asked.decisions[0].text.contains("user ada"));
    let by_field = super::tests::asked(|q| q.headers = "Authorization: Bearer t".into());
    let identity = by_field.asked.expect("a decision").identity;
    assert!(
        identity.starts_with("credential ~") && identity.ends_with("not verified"),
        "{identity}"
    );
}

#[test]
fn all_that_is_wrong_with_a_request_is_said_at_its_field() {
    let answer = asked(|question| {
        question.url = "ftp://a/b".into();
        question.headers = "accept: */*\nno colon here".into();
        question.client = "nobody".into();
    });
    let fields: Vec<&str> = answer.objections.iter().map(|objection| objection.field).collect();
    assert_eq!(fields, ["url", "headers", "client"]);
    assert!(answer.asked.is_none() && answer.policy.is_some());
}

#[test]
fn no_text_whatever_panics() {
    let texts = [
        "",
        "\0",
        "schema",
        "schema = 1\n[[routes]]\n",
        "ä\u{2028}=\u{feff}",
        "//",
        "http://[",
        "?",
        "a:\u{7f}",
    ];
    for policy in texts {
        for other in texts {
            let question = Question {
                policy: policy.into(),
                environment: other.into(),
                method: other.into(),
                url: other.into(),
                headers: other.into(),
                client: other.into(),
                user: other.into(),
                now: u64::MAX,
            };
            let _ = decide(&question);
        }
    }
}
