package routers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/rolecall-auth/rolecall/guard"
)

// Gin returns the API on a router of gin.
func Gin(g *guard.Guard) http.Handler {
	router := gin.New()
	router.GET("/healthz", func(c *gin.Context) { c.Status(http.StatusOK) })
	router.GET("/api/orders/:id", ginMiddleware(g.Require("Orders.Read")), func(c *gin.Context) {
		caller, _ := guard.CallerFrom(c.Request.Context())
		c.String(http.StatusOK, "order %s for %s", c.Param("id"), caller.ClientID)
	})
	return router
}

// ginMiddleware is middleware of net/http as gin has it. What it does not pass on goes no
// further.
func ginMiddleware(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		passed := false
		middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			passed, c.Request = true, r
			c.Next()
		})).ServeHTTP(c.Writer, c.Request)
		if !passed {
			c.Abort()
		}
	}
}
