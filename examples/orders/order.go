package orders

// An Order is a line of the order book.
type Order struct {
	ID        int     `json:"id"`
	OrderDate string  `json:"orderDate"` // year-month-day
	Region    string  `json:"region"`
	Rep       string  `json:"rep"`
	Item      string  `json:"item"`
	Units     int     `json:"units"`
	UnitCost  float64 `json:"unitCost"`
	Total     float64 `json:"total"`
}

// Sample returns the five orders that the API has.
func Sample() []Order {
	return []Order{
		{ID: 1, OrderDate: "2026-09-03", Region: "North", Rep: "north-1", Item: "Lantern", Units: 12, UnitCost: 8.50, Total: 102.00},
		{ID: 2, OrderDate: "2026-09-17", Region: "South", Rep: "south-2", Item: "Compass", Units: 40, UnitCost: 4.25, Total: 170.00},
		{ID: 3, OrderDate: "2026-10-01", Region: "West", Rep: "west-1", Item: "Rope", Units: 25, UnitCost: 3.00, Total: 75.00},
		{ID: 4, OrderDate: "2026-10-22", Region: "North", Rep: "north-3", Item: "Tent", Units: 3, UnitCost: 149.00, Total: 447.00},
		{ID: 5, OrderDate: "2026-11-09", Region: "East", Rep: "east-1", Item: "Lantern", Units: 6, UnitCost: 8.50, Total: 51.00},
	}
}
