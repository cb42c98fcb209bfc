use session_axum::TicketData;

#[derive(serde::Serialize, serde::Deserialize, TicketData)]
#[ticket(name = "__Host-oauth")]
struct OAuth {
    state: String,
}

fn main() {}
