package fleetsim
import ("testing";"fmt";"os";"strconv")
func TestDbg(t *testing.T){ n,_:=strconv.Atoi(os.Getenv("DBG")); st:=Random(uint64(n)); fmt.Println(st.Text); r,_:=Run(st); r.WriteTimeline(os.Stdout); for _,f:=range r.Failures {fmt.Println(f)} }
