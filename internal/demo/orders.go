package demo

import (
	"encoding/json"
	"net/http"
)

// An order is what the API gives to those who may read orders.
type order struct {
	ID        int     `json:"id"`
	OrderDate string  `json:"orderDate"`
	Region    string  `json:"region"`
	Rep       string  `json:"rep"`
	Item      string  `json:"item"`
	Units     int     `json:"units"`
	UnitCost  float64 `json:"unitCost"`
	Total     float64 `json:"total"`
}

func orders() []order {
	return []order{
		{1, "2026-01-06", "North", "Ada", "Pencil", 90, 2.00, 180.00},
		{2, "2026-01-23", "South", "Ben", "Binder", 50, 20.00, 1000.00},
		{3, "2026-02-09", "South", "Cleo", "Pencil", 36, 5.00, 180.00},
		{4, "2026-02-26", "East", "Dan", "Pen", 27, 20.00, 540.00},
		{5, "2026-03-15", "West", "Eve", "Desk", 2, 125.00, 250.00},
	}
}

// getOrders is the API. It knows nothing of tokens: the guard in front of it does.
func getOrders(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(orders()) // the client may be gone
}
