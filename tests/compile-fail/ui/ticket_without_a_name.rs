use session_axum::TicketData;

#[derive(serde::Serialize, serde::Deserialize, TicketData)]
#[ticket(path = "/callback")]
struct OAuth {
    state: String,
}

fn main() {}
