package graph

// Routes lists the table of routes: method and path of each.
func Routes() [][2]string {
	var all [][2]string
	for _, row := range routes() {
		all = append(all, [2]string{row.method, row.path})
	}
	return all
}
