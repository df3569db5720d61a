//! What cannot be judged, and is refused before anything is done.

use std::time::Duration;

use cutover_harness::{Answers, Fleet, FleetError, Place};
use cutover_history::Color;

use crate::played::{Register, Speech};
use crate::support::Bed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_be_judged_is_refused_before_anything_else() {
    let register = Register::new(7, Color::Blue);
    let refusal = async |speech, path: &str| {
        let bed = Bed::of(&[&register, &register], speech).await;
        let mut plan = bed.plan();
        plan.patience = Duration::ZERO;
        if !path.is_empty() {
            let address = bed.proxies[0].address();
            plan.places[0] = Place::parse(&format!("http://{address}{path}"))
                .unwrap()
                .named("p0");
        }
        let error = Fleet::start(plan).await.unwrap_err();
        assert!(!bed.history().exists());
        error.to_string()
    };
    assert_eq!(
        refusal(Speech::ColorOnly, "").await,
        "p0 answers (status 200), but does not tell what was decided: its answer has neither a \
         response header `x-cutover-decision` nor `x-backend-decision`"
    );
    assert_eq!(
        refusal(Speech::Nothing, "").await,
        refusal(Speech::ColorOnly, "").await
    );
    let missing = refusal(Speech::Both, "/missing").await;
    assert!(missing.starts_with("p0 answers with status 404 when it is asked for 127.0.0.1:"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_where_nobody_listens_is_told() {
    let register = Register::new(7, Color::Blue);
    let bed = Bed::of(&[&register], Speech::Both).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let mut plan = bed.plan();
    plan.patience = Duration::ZERO;
    plan.places
        .push(Place::parse(&format!("http://{address}")).unwrap());
    let error = Fleet::start(plan.clone()).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{address} does not answer: ")),
        "{error}"
    );
    assert!(error.contains("refused"), "{error}");
    plan.places.truncate(1);
    plan.places.push(plan.places[0].clone());
    let twice = Fleet::start(plan.clone()).await.unwrap_err();
    assert!(matches!(twice, FleetError::Twice(name) if name == "p0"));
    plan.places.clear();
    assert!(matches!(Fleet::start(plan).await, Err(FleetError::Nobody)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colors_alone_need_one_color_to_begin_with() {
    let (one, other) = (
        Register::new(0, Color::Blue),
        Register::new(0, Color::Green),
    );
    let bed = Bed::of(&[&one, &other], Speech::ColorOnly).await;
    let mut plan = bed.plan();
    plan.answers = Answers::Colors;
    let torn = Fleet::start(plan).await.unwrap_err();
    assert!(matches!(torn, FleetError::Torn(..)), "{torn}");
    let silent = Bed::of(&[&one], Speech::Nothing).await;
    let mut plan = silent.plan();
    plan.answers = Answers::Colors;
    plan.patience = Duration::ZERO;
    let colorless = Fleet::start(plan).await.unwrap_err().to_string();
    assert_eq!(
        colorless,
        "p0 answers without a response header `x-backend-color`"
    );
}
