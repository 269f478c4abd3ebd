//! How much is performed at once, how often, and whose turn it is.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tripline::catalog::{Loader, SourceFile};
use tripline::journal::DeliveryView;
use tripline::model::ids::EventId;
use tripline::model::verdict::{DeliveryState, Reason};

use crate::support::{Gateway, PUSH_SECRET, Response, wait_until};

/// An interceptor that lets nobody go on before it is told to.
struct Gate {
    address: SocketAddr,
    open: Arc<Semaphore>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// The marks of those who asked, in order.
    asked: Vec<String>,
    now: usize,
    most: usize,
}

impl Gate {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, seen) = (
            Arc::new(Semaphore::new(0)),
            Arc::new(Mutex::new(Seen::default())),
        );
        let (opened, noted) = (Arc::clone(&open), Arc::clone(&seen));
        let answer = move |body: Bytes| {
            let (opened, noted) = (Arc::clone(&opened), Arc::clone(&noted));
            async move {
                let asked: Value = serde_json::from_slice(&body).unwrap();
                let event: Value = serde_json::from_str(asked["body"].as_str().unwrap()).unwrap();
                {
                    let mut seen = noted.lock().unwrap();
                    seen.asked.push(event["after"].as_str().unwrap().to_owned());
                    seen.now += 1;
                    seen.most = seen.most.max(seen.now);
                }
                opened.acquire().await.unwrap().forget();
                noted.lock().unwrap().now -= 1;
                json!({"continue": true}).to_string()
            }
        };
        let router = Router::new().route("/", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            open,
            seen,
        }
    }

    fn asked(&self) -> usize {
        self.seen.lock().unwrap().asked.len()
    }

    fn open(&self, times: usize) {
        self.open.add_permits(times);
    }

    /// The ClusterInterceptor `name` that leads here.
    fn manifest(&self, name: &str) -> String {
        format!(
            "---\napiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\n\
             metadata: {{name: {name}}}\nspec: {{clientConfig: {{url: 'http://{}/'}}}}\n",
            self.address
        )
    }
}

const GITHUB: &str = "{ref: {name: github}, params: [{name: secretRef, value: {secretName: hook, secretKey: token}}]}";

/// A listener with one trigger `t`.
fn listener(name: &str, annotations: &str, interceptors: &str) -> String {
    format!(
        r#"---
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  triggers:
  - name: t
    interceptors: [{interceptors}]
    bindings: [{{name: rev, value: $(body.after)}}]
    template:
      spec:
        params: [{{name: rev}}]
        resourcetemplates:
        - apiVersion: v1
          kind: ConfigMap
          metadata: {{generateName: {name}-}}
          data: {{rev: $(tt.params.rev)}}
"#
    )
}

async fn push(gateway: &Gateway, listener: &str, number: usize) -> Response {
    let body = format!(r#"{{"after":"{number}"}}"#);
    let id = format!("{listener}-{number}");
    let answer = gateway
        .push(&format!("/default/{listener}"), &id, &body)
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer
}

async fn delivery(gateway: &Gateway, answer: &Response) -> DeliveryView {
    let id = answer.json()["eventID"].as_str().unwrap().parse().unwrap();
    let deliveries = gateway.app.journal().deliveries_of(EventId(id)).await;
    deliveries.unwrap().remove(0)
}

/// Waits until a delivery has gone back to wait for its turn.
async fn wait_for_turn(gateway: &Gateway, answer: &Response, reason: Reason) {
    for _ in 0..1_000 {
        let progress = delivery(gateway, answer).await.progress;
        if (progress.state, progress.reason) == (DeliveryState::Pending, Some(reason)) {
            assert_eq!(progress.attempts, 0, "waiting is no attempt");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{:?}", delivery(gateway, answer).await.progress);
}

#[tokio::test]
async fn a_trigger_limited_to_one_is_performed_one_by_one_the_oldest_first() {
    let gate = Gate::start().await;
    let files = listener(
        "hook",
        "tripline.dev/max-concurrent.t: '1'",
        &format!("{GITHUB}, {{ref: {{name: gate}}}}"),
    );
    let files = [files.as_str(), PUSH_SECRET, &gate.manifest("gate")].join("\n---\n");
    let gateway = Gateway::start(&[("a.yaml", &files)]).await;
    for number in 0..20 {
        let answer = push(&gateway, "hook", number).await;
        if number == 1 {
            wait_for_turn(&gateway, &answer, Reason::ConcurrencyLimited).await;
        }
    }
    wait_until(|| gate.asked() == 1, "the first one").await;
    gate.open(20);
    gateway.wait_for_objects(20).await;
    let seen = gate.seen.lock().unwrap();
    let expected: Vec<String> = (0..20).map(|number: i32| number.to_string()).collect();
    assert_eq!((seen.most, &seen.asked), (1, &expected));
}

#[tokio::test]
async fn a_trigger_object_limited_to_one_is_performed_one_by_one_for_all_its_listeners() {
    let gate = Gate::start().await;
    let trigger = format!(
        r#"
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {{name: shared, annotations: {{tripline.dev/max-concurrent: "1"}}}}
spec:
  interceptors: [{GITHUB}, {{ref: {{name: gate}}}}]
  bindings: [{{name: rev, value: $(body.after)}}]
  template:
    spec:
      params: [{{name: rev}}]
      resourcetemplates:
      - {{apiVersion: v1, kind: ConfigMap, metadata: {{generateName: c-}}}}
"#
    );
    let listener = |name: &str| {
        format!(
            "---\napiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\n\
             metadata: {{name: {name}}}\nspec: {{triggers: [{{triggerRef: shared}}]}}\n---\n"
        )
    };
    let files = [
        &trigger,
        &*listener("one"),
        &listener("two"),
        PUSH_SECRET,
        &gate.manifest("gate"),
    ];
    let gateway = Gateway::start(&[("a.yaml", &files.concat())]).await;
    push(&gateway, "one", 1).await;
    let second = push(&gateway, "two", 2).await;
    wait_for_turn(&gateway, &second, Reason::ConcurrencyLimited).await;
    gate.open(2);
    gateway.wait_for_objects(2).await;
    assert_eq!(gate.seen.lock().unwrap().most, 1);
}

#[tokio::test]
async fn a_rate_delays_and_refuses_nothing_and_goes_on_after_a_restart() {
    let annotations = "tripline.dev/max-rate: 4/d burst 2";
    let files = listener("hook", annotations, GITHUB) + "---" + PUSH_SECRET;
    let gateway = Gateway::start(&[("a.yaml", &files)]).await;
    let mut last = None;
    for number in 0..30 {
        last = Some(push(&gateway, "hook", number).await);
    }
    gateway.wait_for_objects(2).await;
    let last = last.unwrap();
    wait_for_turn(&gateway, &last, Reason::RateLimited).await;
    let repeated = gateway
        .push("/default/hook", "hook-29", r#"{"after":"29"}"#)
        .await;
    assert_eq!(repeated.json()["triggers"][0]["state"], "pending");
    // What may begin at once may do so again after a start.
    let gateway = gateway.restart().await;
    gateway.wait_for_objects(4).await;
    // The limit that holds is that of the configuration as it is now.
    let unlimited = listener("hook", "", GITHUB) + "---" + PUSH_SECRET;
    gateway.write("a.yaml", &unlimited);
    gateway.wait_for_objects(30).await;
}

#[tokio::test]
async fn a_setting_limits_every_listener_that_says_nothing_itself() {
    let own = listener("own", "tripline.dev/max-rate: 1000/s", GITHUB);
    let files = own + &listener("other", "", GITHUB) + "---" + PUSH_SECRET;
    let gateway = Gateway::start_with(&[("a.yaml", &files)], |config| {
        let flow = r#"{"listener": {"maxRate": "1/d"}}"#;
        config.flow = serde_json::from_str(flow).unwrap();
    })
    .await;
    for number in 0..5 {
        push(&gateway, "own", number).await;
    }
    push(&gateway, "other", 0).await;
    let second = push(&gateway, "other", 1).await;
    gateway.wait_for_objects(6).await;
    wait_for_turn(&gateway, &second, Reason::RateLimited).await;
}

#[tokio::test]
async fn slow_deliveries_of_one_listener_leave_slots_for_others() {
    let gate = Gate::start().await;
    let slow = listener("slow", "", &format!("{GITHUB}, {{ref: {{name: gate}}}}"));
    let files = [
        slow,
        listener("quiet", "", GITHUB),
        "---".into(),
        PUSH_SECRET.into(),
    ]
    .concat();
    let files = files + &gate.manifest("gate");
    let gateway =
        Gateway::start_with(&[("a.yaml", &files)], |config| config.flow.deliveries = 4).await;
    for number in 0..30 {
        push(&gateway, "slow", number).await;
    }
    wait_until(|| gate.asked() == 4, "all slots are taken").await;
    for number in 0..10 {
        push(&gateway, "quiet", number).await;
    }
    gateway.wait_for_objects(10).await;
    assert_eq!(gate.asked(), 4, "and no more than the slots");
    gate.open(30);
    gateway.wait_for_objects(40).await;
}

#[tokio::test]
async fn slow_questions_about_one_listener_s_events_leave_turns_for_others() {
    let (gate, open) = (Gate::start().await, Gate::start().await);
    open.open(100);
    let files = [
        listener("slow", "", "{ref: {name: gate}}"),
        listener("quiet", "", "{ref: {name: open}}"),
        gate.manifest("gate"),
        open.manifest("open"),
    ];
    let gateway = Gateway::start_with(&[("a.yaml", &files.concat())], |config| {
        config.flow.questions = 2;
    })
    .await;
    for number in 0..10 {
        push(&gateway, "slow", number).await;
    }
    wait_until(|| gate.asked() == 2, "all turns are taken").await;
    for number in 0..10 {
        push(&gateway, "quiet", number).await;
    }
    gateway.wait_for_objects(10).await;
    assert_eq!(gate.asked(), 2, "and no more than the turns");
    gate.open(10);
    gateway.wait_for_objects(20).await;
}

#[tokio::test]
async fn what_waits_is_counted_by_what_it_waits_for() {
    let files = listener("hook", "tripline.dev/max-rate.t: 1/d", GITHUB) + "---" + PUSH_SECRET;
    let gateway = Gateway::start(&[("a.yaml", &files)]).await;
    push(&gateway, "hook", 0).await;
    let second = push(&gateway, "hook", 1).await;
    wait_for_turn(&gateway, &second, Reason::RateLimited).await;
    let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    let metrics = crate::support::exchange(gateway.app.probe, request)
        .await
        .body;
    let expected = "tripline_deliveries_held_back_total{reason=\"rate_limited\"} ";
    assert!(metrics.contains(expected), "{metrics}");
}

/// Loads one file, and gives what is wrong with it.
fn load(loader: &mut Loader, text: &str) -> (Arc<tripline::catalog::Snapshot>, Vec<String>) {
    let file = SourceFile {
        name: "a.yaml".into(),
        text: text.into(),
    };
    let loaded = loader.load(&vec![file].into());
    let wrong = loaded.diagnostics.iter().map(ToString::to_string);
    (loaded.snapshot, wrong.collect())
}

#[test]
fn a_limit_that_cannot_be_read_is_told_and_never_becomes_none() {
    for (annotation, complaint) in [
        (
            "tripline.dev/max-concurrent: '0'",
            "annotation `tripline.dev/max-concurrent`: `0` is no limit",
        ),
        (
            "tripline.dev/max-concurrent.t: many",
            "annotation `tripline.dev/max-concurrent.t`: `many` is no limit",
        ),
        (
            "tripline.dev/max-rate: '10'",
            "annotation `tripline.dev/max-rate`: `10` is no rate; write COUNT/UNIT",
        ),
        (
            "tripline.dev/max-rate.t: 10/x",
            "annotation `tripline.dev/max-rate.t`: `10/x` is no rate",
        ),
    ] {
        let bad = listener("hook", annotation, "");
        let (snapshot, wrong) = load(&mut Loader::default(), &bad);
        assert!(
            wrong.iter().any(|line| line.contains(complaint)),
            "{wrong:?}"
        );
        let found = snapshot.only().unwrap();
        assert!(matches!(
            found.triggers[0],
            tripline::catalog::Entry::Broken(_)
        ));
        // One that worked before goes on with the limits that it had.
        let mut loader = Loader::default();
        let good = "tripline.dev/max-concurrent: '3', tripline.dev/max-rate.t: 1/s";
        let (before, wrong) = load(&mut loader, &listener("hook", good, ""));
        assert_eq!(wrong, Vec::<String>::new());
        let before = &before.only().unwrap().bounds;
        let (after, _) = load(&mut loader, &bad);
        let after = &after.only().unwrap().bounds;
        match complaint.contains(".t`") {
            true => assert_eq!(after.triggers, before.triggers),
            false => assert_eq!(after.listener, before.listener),
        }
    }
}
