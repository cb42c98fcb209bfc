use session_axum::TicketData;

#[derive(TicketData)]
#[ticket(name = "oauth")]
struct OAuth {
    state: String,
}

fn main() {}
