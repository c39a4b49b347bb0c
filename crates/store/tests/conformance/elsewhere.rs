//! What every engine whose server lies elsewhere must hold against a bad way there, and a server that is killed, stopped,
//! or brought back from a copy.

use steadfast_store::conformance::Fixture;
use steadfast_store::conformance::failures::{self, Numbers};
use steadfast_store::conformance::servers::{Kind, Options, Place, Server, shared};
use steadfast_store::conformance::{load, reach};

/// Each clause on a server of this kind; those that hurt the server have one of their own.
macro_rules! on {
    ($module:ident, $kind:expr, $numbers:expr) => {
        mod $module {
            use super::*;

            fn place() -> Place {
                shared($kind).fresh_place().with("pace=50ms")
            }

            /// A server of its own, and a place there.
            fn alone() -> (Server, Place) {
                let server = super::alone($kind);
                let place = server.fresh_place().with("pace=50ms");
                (server, place)
            }

            #[tokio::test]
            async fn silence_is_doubt() {
                reach::silence_is_doubt(place()).await;
            }

            #[tokio::test]
            async fn a_closed_door_is_certain() {
                reach::a_closed_door_is_certain(place()).await;
            }

            #[tokio::test]
            async fn idle_watches_cost_little() {
                reach::idle_watches_cost_little(shared($kind).fresh_place(), 3).await;
            }

            #[tokio::test]
            async fn a_large_space_is_scanned_while_written_to() {
                load::a_large_space_is_scanned_while_written_to(Fixture::of(place().open()), 100_000).await;
            }

            #[tokio::test]
            async fn kill_nine_loses_nothing_acknowledged() {
                let (server, place) = alone();
                failures::kill_nine_loses_nothing_acknowledged(server, place).await;
            }

            #[tokio::test]
            async fn a_frozen_server_is_silence() {
                let (server, place) = alone();
                failures::a_frozen_server_is_silence(server, place).await;
            }

            #[tokio::test]
            async fn a_rollback_is_noticed() {
                let (server, place) = alone();
                failures::a_rollback_is_noticed(server, place, $numbers).await;
            }
        }
    };
}

/// A server for one test.
fn alone(kind: Kind) -> Server {
    let usual = Options::default();
    match kind {
        Kind::Etcd => Server::etcd(&usual),
        Kind::Redis => Server::redis(&usual),
        Kind::Postgres => Server::postgres(&usual),
        Kind::Azurite | Kind::Sentinel | Kind::PgBouncer => panic!("{kind:?} has tests of its own"),
    }
}

on!(etcd, Kind::Etcd, Numbers::ComeAgain);
