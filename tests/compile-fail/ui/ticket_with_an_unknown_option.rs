use session_axum::TicketData;

#[derive(serde::Serialize, serde::Deserialize, TicketData)]
#[ticket(name = "oauth", lifetim = "10m")]
struct OAuth {
    state: String,
}

fn main() {}
