use session_axum::TicketData;

#[derive(serde::Serialize, serde::Deserialize, TicketData)]
#[ticket(name = "oauth", lifetime = "ever")]
struct OAuth {
    state: String,
}

fn main() {}
