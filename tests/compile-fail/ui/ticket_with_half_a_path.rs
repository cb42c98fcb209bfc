use session_axum::TicketData;

#[derive(serde::Serialize, serde::Deserialize, TicketData)]
#[ticket(name = "oauth", path = "callback")]
struct OAuth {
    state: String,
}

fn main() {}
