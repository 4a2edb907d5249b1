package routers

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/rolecall-auth/rolecall/guard"
)

// Echo returns the API on a router of echo.
func Echo(g *guard.Guard) http.Handler {
	router := echo.New()
	router.GET("/healthz", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	router.GET("/api/orders/:id", func(c echo.Context) error {
		caller, _ := guard.CallerFrom(c.Request().Context())
		return c.String(http.StatusOK, fmt.Sprintf("order %s for %s", c.Param("id"), caller.ClientID))
	}, echo.WrapMiddleware(g.Require("Orders.Read")))
	return router
}
